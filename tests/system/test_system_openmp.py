"""The command sets how torch's threads wait before torch is loaded, and leaves a user's choice alone."""

from __future__ import annotations

import subprocess
import sys

import pytest
from command_line import environment

SCRIPT = """
import os, sys
import inrcodec.cli.main as module
module.run = lambda **_: print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules)
module.main()
"""


@pytest.mark.parametrize(("asked", "policy"), [(None, "passive"), ("active", "active")])
def test_threads_of_the_command_sleep_at_barriers_unless_asked_otherwise(
    asked: str | None, policy: str
) -> None:
    variables = environment()
    variables.pop("OMP_WAIT_POLICY", None)
    if asked is not None:
        variables["OMP_WAIT_POLICY"] = asked
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=variables, check=True
    )
    assert done.stdout.split() == [policy, "False"]
