"""Rates, targets and what is told of a reset, without servers."""

from __future__ import annotations

import pytest

from optionstream.deploy.cli.groups import parse_target
from optionstream.deploy.groups.lag import Member, PartitionLag
from optionstream.deploy.groups.reset import ResetPlan, ResetRow, Target, consequences
from optionstream.deploy.groups.rows import with_rates
from optionstream.schemas.errors import UsageError

T = "market.underlying"


def lag(at: int | None, end: int, left: int) -> PartitionLag:
    return PartitionLag("latest", T, 0, at, end, left)


def test_a_rate_is_what_was_read_between_two_looks() -> None:
    first = [lag(None, 100, 40)]  # it begins at 60, retention took the rest
    member = Member("optionstream.latest-2", "/127.0.0.1")
    (row,) = with_rates(first, None, 10.0, {})
    assert (row.rate, row.member) == (None, None)
    (row,) = with_rates([lag(90, 130, 40)], (10.0, first), 12.0, {(T, 0): member})
    assert (row.rate, row.member) == (15.0, "optionstream.latest-2/127.0.0.1")
    assert member.instance == "2"


def test_a_partition_that_is_new_has_no_rate() -> None:
    (row,) = with_rates([lag(5, 9, 4)], (0.0, []), 1.0, {})
    assert row.rate is None


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("earliest", Target(end="earliest")),
        ("latest", Target(end="latest")),
        ("1200", Target(offset=1200)),
        ("2026-01-06T14:00", Target(time_ms=1_767_688_200_000)),
        ("2026-01-06T08:30:00Z", Target(time_ms=1_767_688_200_000)),
    ],
)
def test_a_target_is_an_end_an_offset_or_a_time(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["noon", "-5", "1960-01-01", ""])
def test_another_target_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(UsageError, match="--to"):
        parse_target(text)


def plan(group: str, skipped: int = 0, since_ms: int | None = None) -> ResetPlan:
    forgotten = None if since_ms is None else 7
    return ResetPlan(group, [ResetRow(group, T, 0, 3, 5, 9, skipped)], since_ms, forgotten)


def test_what_follows_is_told_before_it_is_done() -> None:
    (anew,) = consequences(plan("analytics"), Target(end="earliest"))
    assert "computes everything again" in anew
    empty, skipped = consequences(plan("analytics", skipped=2), Target(offset=5))
    assert "empty state" in empty and "lack what came before" in empty
    assert skipped == "2 records that the group has not read are skipped for good"
    (ticks,) = consequences(plan("history"), Target(offset=5))
    assert "no longer count and are read again" in ticks
    (keys,) = consequences(plan("latest", since_ms=1_767_688_200_000), Target(time_ms=1))
    assert "forgets values of 2026-01-06T14:00:00+05:30 on (7 now)" in keys
    (kept,) = consequences(plan("latest"), Target(end="latest"))
    assert kept == "Redis keeps its values: newer wins"
