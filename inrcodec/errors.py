"""Errors that a person can act on; the command line maps each kind to one exit code."""


class InrcError(Exception):
    """Something the user asked for cannot be done; the message is one clear line."""

    exit_code = 1


class NotAVideo(InrcError):
    """The input exists but holds no video that PyAV can decode, or one that is not supported."""


class UsageError(InrcError):
    """The request contradicts itself or names a file that is missing or already there."""

    exit_code = 2


class TargetUnreachable(InrcError):
    """No file can meet the requested size; the message names the smallest that can."""

    exit_code = 3


class OutputError(InrcError):
    """The output could not be written: no space, no permission, an encoder that refused."""
