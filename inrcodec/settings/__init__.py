"""One frozen settings class a command, presets, and the notation of sizes and times."""
