"""The group of commands, and exceptions that end a command without click handling them."""

from __future__ import annotations

import errno
from typing import Any

import click


class Terminated(BaseException):
    """SIGTERM arrived. Not an `Exception`, so that only clean-up code intercepts it."""


class Interrupted(Exception):
    """Ctrl-C, renamed because click handles KeyboardInterrupt itself."""


class ClosedPipe(Exception):
    """The reader of our output has closed the pipe; renamed because click handles EPIPE itself."""


class NoCommand(click.UsageError):
    """`inrc` alone, without a command; shows the help. click 8.1 would print it on stdout and exit with 0."""


class Commands(click.Group):
    """The group of commands; hides from click the exceptions that click would handle."""

    def parse_args(self, context: click.Context, words: list[str]) -> list[str]:
        if not words:
            raise NoCommand(context.get_help(), context)
        return super().parse_args(context, words)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            raise Interrupted from None
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise ClosedPipe from None
            raise
