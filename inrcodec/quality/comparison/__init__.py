"""Our models beside ordinary codecs on a person's own video; `comparing.compare` does it."""
