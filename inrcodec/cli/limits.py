"""The option --limits, which commands that read .inrv files share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from inrcodec.settings.notation import limit_name, parse_limits


def limits_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --limits; an error about a file beyond a limit then says how to lift it."""

    @wraps(command)
    def advised(*arguments: Any, **named: Any) -> Any:
        # Imported here, because `--help` does not wait for the format.
        from bitstream.errors import LimitExceeded

        try:
            return command(*arguments, **named)
        except LimitExceeded as error:
            if error.limit:
                error.add_note(f"--limits {limit_name(error.limit)}={error.found} allows it")
            raise

    return click.option(
        "--limits",
        multiple=True,
        metavar="NAME=VALUE",
        callback=lambda context, parameter, texts: parse_limits(texts),
        help="Refuse or allow a file that asks for more, such as memory=2G or frames=20M (SECURITY.md).  "
        "Repeatable.",
    )(advised)
