"""Makes a self-contained HTML page that compares files with their source; see `write.write_report`."""
