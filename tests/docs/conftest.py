"""Setup of the tests of documentation: the example of docs/own-family.md is installed."""

from collections.abc import Iterator

import pytest
from command_line import installed_example

from inrcodec.models.installed import installed_family


@pytest.fixture(scope="module", autouse=True)
def _example_is_installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(installed_example(tmp_path_factory.mktemp("site")))
        installed_family.cache_clear()
        yield
    installed_family.cache_clear()
