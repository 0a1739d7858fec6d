"""Writes docs/cli.md from the help of the commands: `python docs/cli_page.py`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "cli.md"
HEAD = """# Command line

Generated from `inrc COMMAND --help` by `make docs`; do not edit. [Using inrc](usage.md)
has examples by purpose.
"""
WIDTH = 100


def page() -> str:
    """The page as the commands are now."""
    import click

    from inrcodec.cli.main import commands

    parts, group = [HEAD], click.Context(commands, info_name="inrc", **commands.context_settings)
    for name, command in commands.commands.items():
        context = click.Context(command, group, info_name=name, terminal_width=WIDTH)
        parts.append(f"## inrc {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page())
