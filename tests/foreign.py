"""Files and folders that another user planted, for tests that may or may not run as root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_NOBODY = 65534


def plant(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `path` belong to another user; without root, this process becomes another user instead."""
    if os.geteuid() == 0:
        os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)
    else:
        other = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: other)
