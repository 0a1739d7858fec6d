"""The files that documented commands and code read."""

from __future__ import annotations

from pathlib import Path

import pytest
from documented_commands import make_stand_ins


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stand-ins")
    make_stand_ins(folder)
    return folder
