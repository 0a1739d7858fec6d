"""The group of commands, and the exceptions by which a command ends that click must not see."""

from __future__ import annotations

import errno
from typing import Any

import click


class Terminated(BaseException):
    """SIGTERM arrived; not an `Exception`, so that only clean-up sees it on its way out."""


class Interrupted(Exception):
    """Ctrl-C, renamed because click answers a KeyboardInterrupt by itself."""


class ClosedPipe(Exception):
    """Whoever read our output has left, renamed for the same reason."""


class NoCommand(click.UsageError):
    """A bare `inrc`: the message is the help. click 8.1 would print it to stdout and exit with 0."""


class Commands(click.Group):
    """The group of commands; lets no exception reach click that click would handle."""

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
