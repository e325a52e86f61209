"""What all tests have. It imports nothing large, since `pytest -n` waits for it before its workers start."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_runs_of_ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The app sees no runs but those of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMDROP_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield
