"""One self-contained HTML page on how files compare with their source; `making.write_report` makes it."""
