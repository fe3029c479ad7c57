"""The newest usable snapshot as of a minute, against looking at all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from optionstream.streams.core.features.day import AsOf, first_minute
from optionstream.streams.core.features.facts import ChainFacts, facts_of
from tests.harness.feature_model import MINUTE_MS, NEAR, chain

SNAPSHOTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


def snapshot(version: int) -> ChainFacts:
    return facts_of(chain(version, NEAR))


@given(SNAPSHOTS)
def test_it_is_the_greatest_version_of_all_that_may_be_used_by_then(
    snapshots: list[tuple[int, int]],
) -> None:
    as_of = AsOf()
    told: list[tuple[int, int]] = []
    for minute, version in snapshots:
        before = [as_of.newest_at(end) for end in range(7)]
        changed = as_of.add_chain(minute, snapshot(version))
        told.append((minute, version))
        after = [as_of.newest_at(end) for end in range(7)]
        assert changed is (after != before)
        for end, found in enumerate(after):
            usable = [known for of, known in told if of <= end]
            assert found == (snapshot(max(usable)) if usable else None)


@given(st.integers(0, 300_000), st.integers(-60_000, 200_000), st.integers(0, 5_000))
def test_the_first_minute_is_the_least_that_is_not_before_the_event_nor_too_early_for_its_receipt(
    ts_event: int, delay_ms: int, grace_ms: int
) -> None:
    ts_recv = ts_event + delay_ms
    minutes = range(-MINUTE_MS, 600_000, MINUTE_MS)
    usable = [end for end in minutes if ts_event <= end and ts_recv <= end + grace_ms]
    assert first_minute(ts_event, ts_recv, grace_ms) == usable[0]
