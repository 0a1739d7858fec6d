"""The group of commands, and exceptions that end a command without click handling them."""

from __future__ import annotations

import errno
import os
from typing import Any

import click

from inrcodec.cli.grouped import meant_instead
from inrcodec.cli.hints import command_hint
from inrcodec.errors import InrcError, UsageError, explained


class Terminated(BaseException):
    """SIGTERM arrived. Not an `Exception`, so that only clean-up code intercepts it."""

    exit_code, name = 143, "terminated"


class HungUp(Terminated):
    """SIGHUP arrived: the terminal was closed."""

    exit_code, name = 129, "hung up"


class Interrupted(Exception):
    """Ctrl-C, renamed because click handles KeyboardInterrupt itself."""


class ClosedPipe(Exception):
    """The reader of standard output has closed the pipe; not an `OSError`, because click handles EPIPE."""


class NoCommand(click.UsageError):
    """`inrc` alone, without a command; shows the help. click 8.1 would print it on stdout and exit with 0."""


class Commands(click.Group):
    """The group of commands; hides from click the exceptions that click would handle."""

    def parse_args(self, context: click.Context, words: list[str]) -> list[str]:
        # A shell that completes a command asks without words, too.
        if not words and not context.resilient_parsing:
            raise NoCommand(context.get_help(), context)
        try:
            return super().parse_args(context, [*words])
        except click.NoSuchOption as error:
            raise meant_instead(error, context, words) from None

    def resolve_command(
        self, context: click.Context, words: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(context, words)
        except click.UsageError:
            hint = command_hint(words[0])
            if hint is None:
                raise
            raise click.UsageError(f"{words[0]} is no command of inrc: {hint}", context) from None

    def invoke(self, context: click.Context) -> Any:
        _check_working_directory()
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            raise Interrupted from None
        except OSError as error:
            if error.errno == errno.EPIPE:
                # Not standard output, which raises `ClosedPipe`; click would exit without a message.
                raise InrcError(explained(error)[0]) from error
            raise


def _check_working_directory() -> None:
    """Raise `UsageError` if it was removed: no relative name can be found, and torch ends the process."""
    try:
        os.getcwd()
    except OSError as error:
        raise UsageError("the working directory no longer exists; change to another folder") from error
