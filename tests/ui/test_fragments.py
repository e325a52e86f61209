"""What becomes of errors in work that nobody has asked for yet."""

import pytest

from ui.fragments import or_nothing


@pytest.mark.parametrize("error", [ValueError("of the library"), OSError("of a file")])
def test_an_error_in_what_goes_ahead_leaves_it_out(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> list[int]:
        raise error

    assert or_nothing(fail) == [] and str(error) in caplog.text
    assert or_nothing(lambda: [1, 2]) == [1, 2]


def test_a_fault_of_our_own_is_no_such_error() -> None:
    with pytest.raises(KeyError):
        or_nothing(lambda: [{}["none"]])
