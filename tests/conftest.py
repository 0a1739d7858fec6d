"""What all tests share: this folder on the import path (for `codec_samples`), one thread, patient properties.

The fits of the tests are so small that a second thread only waits for the first; on a busy machine it
made the suite take five times as long. Subprocesses inherit the setting. For the same reason no example
has a deadline.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("inrc", deadline=None, derandomize=True)
settings.load_profile("inrc")


@contextmanager
def _in_a_hurry() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("inrcodec.fit.grids.fit.FIRST_ROUNDS", 8)
        patched.setattr("inrcodec.fit.grids.fit.ROUNDS", 2)
        yield


@pytest.fixture
def hurried() -> Iterator[None]:
    """Entropy models of `inrc` are fitted in a hurry, where a test is of something else than its files."""
    with _in_a_hurry():
        yield


@pytest.fixture(scope="module")
def hurried_module() -> Iterator[None]:
    """The same for a module and its fixtures."""
    with _in_a_hurry():
        yield
