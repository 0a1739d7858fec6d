"""A frozen settings class for each command, presets, and the notation of sizes and times."""
