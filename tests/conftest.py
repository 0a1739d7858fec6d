"""Setup of all tests: this folder on the import path (for `codec_samples`), one thread, no deadlines.

The fits of the tests are so small that a second thread only waits for the first; on a busy machine it
made the suite five times slower. Subprocesses inherit the setting. Because machines may be busy, the
examples of property tests have no deadline.
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
        patched.setattr("inrcodec.fit.grids.fit.ENTROPY_ROUNDS", 2)
        yield


@pytest.fixture
def hurried() -> Iterator[None]:
    """Fit the entropy models of `inrc` in few rounds, for tests of anything but the resulting files."""
    with _in_a_hurry():
        yield


@pytest.fixture(scope="module")
def hurried_module() -> Iterator[None]:
    """Do the same for a whole module, including its fixtures."""
    with _in_a_hurry():
        yield
