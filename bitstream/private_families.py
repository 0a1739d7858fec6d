"""Wire ids for private use: families that this format does not define, whose names are in the file."""

from __future__ import annotations

import re

from bitstream.errors import Corrupt

PRIVATE_FAMILIES = range(192, 256)
"""Wire ids that SPEC.md, section 10.13, leaves to anyone."""
LONGEST_NAME = 32
NAME = re.compile(f"[a-z][a-z0-9._-]{{0,{LONGEST_NAME - 1}}}")
"""Names of private families. They are shown to people, so they hold neither markup nor control characters."""
NAME_RULE = f"1 to {LONGEST_NAME} characters of a-z, 0-9, `.`, `_` and `-`, the first of them a letter"


def named_config(name: str, config: bytes) -> bytes:
    """The config of a segment of the private family `name`. Raises ValueError for a name that is not one."""
    if not NAME.fullmatch(name):
        raise ValueError(f"expected a name of {NAME_RULE}, found {name!r}")
    return bytes([len(name)]) + name.encode() + config


def split_config(raw: bytes) -> tuple[str, bytes]:
    """Inverse of `named_config`. Raises `Corrupt`."""
    length = raw[0] if raw else 0
    name = raw[1 : 1 + length].decode("latin-1")
    if len(name) < length or not NAME.fullmatch(name):
        message = f"expected the name of a private family, {NAME_RULE}, found {raw[: 1 + LONGEST_NAME]!r}"
        raise Corrupt(message, block="SEGM")
    return name, raw[1 + length :]
