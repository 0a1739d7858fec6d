"""The machine: files, locks, signals, memory, devices, threads."""
