"""Which expiry is nearest, and the open window's bar among those of history."""

from __future__ import annotations

from typing import Any

import pytest

from optionstream.api.stores import nearest_expiry, start_ms, with_newest
from optionstream.schemas.documents import (
    Document,
    bar_document,
    chain_document,
    pcr_document,
    pcr_of_chain,
)
from optionstream.schemas.times import rfc3339
from tests.harness.records import OPEN_MS, bar, chain

DAY_MS = 86_400_000


def _row(window: int, revision: int = 1, ticks: int = 10) -> Document:
    return bar_document(bar(window, revision, ticks))


def _cached(window: int, revision: int = 0, ticks: int = 10) -> Document:
    """As Redis holds it: dates are texts."""
    document = bar_document(bar(window, revision, ticks))
    return {**document, "start": rfc3339(bar(window).start)}


def _seen(rows: list[Document]) -> list[tuple[int, int]]:
    return [((start_ms(row) - OPEN_MS) // 60_000, row["revision"]) for row in rows]


@pytest.mark.parametrize(
    ("newest_day", "expected"),
    [(0, "2025-10-28"), (1, "2025-10-28"), (2, "2025-11-04"), (8, "2025-11-04"), (9, "2025-11-04")],
)
def test_the_nearest_expiry_is_not_before_the_newest_data(newest_day: int, expected: str) -> None:
    newest = OPEN_MS + newest_day * DAY_MS
    assert nearest_expiry({"2025-10-28": OPEN_MS, "2025-11-04": newest}) == expected


def test_the_ratio_in_history_reads_as_the_one_in_redis() -> None:
    assert pcr_of_chain(chain_document(chain(3))) == pcr_document(chain(3))


@pytest.mark.parametrize(
    ("window", "revision", "expected"),
    [
        (3, 0, [(0, 1), (1, 1), (2, 1), (3, 0)]),
        (2, 2, [(0, 1), (1, 1), (2, 2)]),
        (2, 0, [(0, 1), (1, 1), (2, 1)]),
        (10, 0, [(0, 1), (1, 1), (2, 1)]),
    ],
)
def test_the_newest_window_joins_the_page_when_it_is_newer_and_in_range(
    window: int, revision: int, expected: list[tuple[int, int]]
) -> None:
    rows = [_row(at) for at in range(3)]
    end = OPEN_MS + 5 * 60_000
    assert _seen(with_newest(rows, _cached(window, revision), OPEN_MS, end, 10)) == expected


def test_on_a_full_page_the_newest_window_waits_for_the_last_page() -> None:
    rows = [_row(at) for at in range(3)]
    assert _seen(with_newest(rows, _cached(7), OPEN_MS, None, 3)) == [(0, 1), (1, 1), (2, 1)]


def test_the_last_bars_end_with_the_newest_window() -> None:
    rows = [_row(at) for at in range(3)]
    newest: Any = with_newest(rows, _cached(3), None, None, 3)
    assert _seen(newest) == [(1, 1), (2, 1), (3, 0)]
