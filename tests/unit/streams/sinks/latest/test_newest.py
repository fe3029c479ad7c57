"""Conflation: a batch leaves the newest of each key, in any order and any cut."""

from __future__ import annotations

import json
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from optionstream.schemas import redis_keys
from optionstream.schemas.documents import chain_document, option_documents, pcr_document
from optionstream.schemas.newer_wins import Entry, bar_version, tick_version
from optionstream.schemas.topics import Namespace
from optionstream.streams.sinks.latest.newest import Batch, newest_index
from tests.harness.records import OPEN_MS, bar, chain, frame, surface

REPLAY = Namespace("test")

RECORDS = [
    *(frame(at * 5, 5, product) for at in range(3) for product in ("NIFTY", "BANKNIFTY")),
    *(bar(at, revision, interval="5m") for at in range(3) for revision in (0, 1, 2)),
    *(chain(at, expiry) for at in range(4) for expiry in ("2025-10-28", "2025-11-04")),
    *(surface(at + 1, at // 2) for at in range(4)),
    *(surface(at + 1, at // 2, "BANKNIFTY") for at in range(2)),
    chain(9, call_oi=(1.0, None, None), put_oi=(None, None, None)),
]


def _batch(records: list[object]) -> Batch:
    batch = Batch(REPLAY)
    for record in records:
        name = type(record).__name__
        if name == "TickFrame":
            batch.add_frame(record)  # type: ignore[arg-type]
        elif name == "Bar":
            batch.add_bar(record)  # type: ignore[arg-type]
        elif name == "VolatilitySurface":
            batch.add_surface(record)  # type: ignore[arg-type]
        else:
            batch.add_chain(record)  # type: ignore[arg-type]
    return batch


def _apply(state: dict[str, Entry], batch: Batch) -> None:
    """What newer_wins.lua does."""
    for entry in batch.entries():
        if entry.key not in state or entry.version > state[entry.key].version:
            state[entry.key] = entry


@given(st.permutations(RECORDS), st.lists(st.integers(0, len(RECORDS)), max_size=5))
def test_the_end_state_is_the_same_in_any_order_and_any_cut(
    records: list[object], cuts: list[int]
) -> None:
    expected: dict[str, Entry] = {}
    for record in RECORDS:
        _apply(expected, _batch([record]))
    state: dict[str, Entry] = {}
    for first, last in pairwise([0, *sorted(cuts), len(records)]):
        _apply(state, _batch(records[first:last]))
    assert state == expected


def test_a_leg_missing_from_the_newest_snapshot_keeps_its_last_value() -> None:
    sparse = chain(1, call_oi=(1.0, None, None), put_oi=(None, None, None))
    by_key = {entry.key: json.loads(entry.value) for entry in _batch([sparse, chain(0)]).entries()}
    prefix = REPLAY.redis("latest:option:NIFTY28OCT25")
    assert by_key[prefix + "24000CE"]["timestamp"] == "2025-10-27T09:15:01+05:30"
    assert by_key[prefix + "24050PE"]["timestamp"] == "2025-10-27T09:15:00+05:30"
    assert prefix + "24100PE" not in by_key


def test_the_values_of_a_chain_are_its_documents() -> None:
    sparse = chain(1, call_oi=(1.0, None, 3.0), put_oi=(None, 2.0, None))
    values = {entry.key: entry.value for entry in _batch([sparse]).entries()}
    documents = {redis_keys.option(one["symbol"]): one for one in option_documents(sparse)}
    documents[redis_keys.chain("NIFTY", sparse.expiry)] = chain_document(sparse)
    documents[redis_keys.pcr("NIFTY", sparse.expiry)] = pcr_document(sparse)
    assert values == {
        REPLAY.redis(key): msgspec.json.encode(document) for key, document in documents.items()
    }


def test_one_key_makes_one_entry() -> None:
    keys = [entry.key for entry in _batch(list(RECORDS)).entries()]
    assert len(keys) == len(set(keys))


def test_index_sets_hold_the_newest_time_of_each_product_and_expiry() -> None:
    batch = _batch([chain(3), chain(1), chain(2, "2025-11-04"), frame(0, 2, "BANKNIFTY")])
    assert batch.index_sets() == {
        "replay:test:index:products": {"NIFTY": OPEN_MS + 3_000, "BANKNIFTY": OPEN_MS + 1_000},
        "replay:test:index:expiries:NIFTY": {
            "2025-10-28": OPEN_MS + 3_000,
            "2025-11-04": OPEN_MS + 2_000,
        },
    }


def test_the_newest_of_a_frame_is_by_time_then_number_and_the_first_of_equals() -> None:
    assert newest_index([1, 3, 2], [0, 1, 2]) == 1
    assert newest_index([3, 3, 2], [0, 1, 2]) == 1
    assert newest_index([3, 3, 3], [7, 7, 1]) == 0


@given(
    st.tuples(st.integers(0, 10**13), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.integers(0, 10**13), st.integers(-(2**63), 2**63 - 1)),
)
def test_tick_versions_order_as_their_numbers(a: tuple[int, int], b: tuple[int, int]) -> None:
    assert (tick_version(*a) < tick_version(*b)) == (a < b)


def test_numbers_beyond_64_bits_do_not_break_the_width() -> None:
    assert len(tick_version(1, 10**30)) == len(tick_version(1, -(10**30))) == 37


def test_bar_versions_order_by_window_then_revision_then_ticks() -> None:
    rising = [bar(0, 0, 5), bar(0, 0, 10), bar(0, 1, 10), bar(0, 2, 11), bar(1, 0, 1)]
    versions = [bar_version(one) for one in rising]
    assert versions == sorted(versions)


def test_lifetimes_apply_to_live_only() -> None:
    def lifetimes(name: str) -> dict[str, int]:
        batch = Batch(Namespace(name))
        batch.add_chain(chain())
        batch.add_bar(bar(interval="5m"))
        batch.add_frame(frame())
        batch.add_surface(surface())
        prefix = len(batch.namespace.redis(""))
        return {entry.key[prefix:]: entry.lifetime_s for entry in batch.entries()}

    live = lifetimes("sim")
    assert live["latest:pcr:NIFTY:2025-10-28"] == 300
    assert live["ohlc:NIFTY:5m"] == 300
    assert live["volatility_surface:NIFTY"] == 300
    assert live["latest:underlying:NIFTY"] == live["latest:chain:NIFTY:2025-10-28"] == 0
    assert set(lifetimes("replayed").values()) == {0}
