"""Names of settings: arguments of the Python interface and options of the command line."""

from __future__ import annotations

import re

_FLAGS = {
    "size_bytes": "--size",
    "psnr_db": "--psnr",
    "time_seconds": "--time",
    "batch_frames": "--batch",
    "checkpoint_seconds": "--checkpoint",
    "model_options": "--model-option",
    "at_seconds": "--at",
    "metrics": "--metric",
    "audio=False": "--no-audio",
    "overwrite=True": "-y",
    "output": "-o",
}
_ARGUMENTS = {flag: argument for argument, flag in _FLAGS.items()}
# The words of a command line that is quoted, as `inrc encode --json`, stay as they are.
_FLAG = re.compile(
    r"inrc(?: [a-z]+)? --[a-z][a-z-]*"
    # Neither a part of a path nor a word in quotation marks of another program is one.
    r"|(?:(?<=^)|(?<=[\s(]))(?P<flag>--[a-z][a-z-]*|-[yo])(?=[\s:;,)]|\.?$)"
    r"(?P<space> (?=\d+(?:\.\d+)?(?:[\s),;]|\.?$))|(?<=-o) (?=\S+(?:/|\.inrv)))?"
)

_SWITCH = re.compile(r"\b(\w+)=(True|False)\b")


def flag_of(argument: str) -> str:
    """The command-line option of an argument: `--size` for `size_bytes`."""
    return _FLAGS.get(argument, f"--{argument.replace('_', '-')}")


def argument_of(flag: str) -> str:
    """The argument of a command-line option: `size_bytes` for `--size`."""
    return _ARGUMENTS.get(flag, flag.lstrip("-").replace("-", "_"))


def as_arguments(message: str) -> str:
    """A message that names options of the command line, with arguments: `size_bytes=400` for `--size 400`."""

    def replaced(found: re.Match[str]) -> str:
        if found["flag"] is None:
            return found[0]
        return argument_of(found["flag"]) + ("=" if found["space"] else "")

    return _FLAG.sub(replaced, message)


def with_options(message: str) -> str:
    """A message that names arguments such as `overwrite=True`, with options of the command line for them."""

    def replaced(found: re.Match[str]) -> str:
        # An option that turns an argument off has a name of its own, or there is none.
        return _FLAGS.get(found[0]) or (flag_of(found[1]) if found[2] == "True" else found[0])

    return _SWITCH.sub(replaced, message)
