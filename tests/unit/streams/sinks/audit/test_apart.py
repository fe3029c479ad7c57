"""What ends the process that does it ends no other."""

from __future__ import annotations

import os

import pytest

from optionstream.streams.sinks.audit.apart import EndedError, apart


def test_results_and_errors_come_back() -> None:
    assert apart(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        apart(divmod, 7, 0)
    assert apart(os.getpid) != os.getpid()


def test_the_end_of_that_process_is_an_error_here_and_the_next_call_has_another() -> None:
    with pytest.raises(EndedError):
        apart(os.abort)
    assert apart(len, "abc") == 3
