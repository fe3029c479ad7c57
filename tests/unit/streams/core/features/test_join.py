"""The join: whatever the order of its inputs, the rows are those of a batch over all of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optionstream.schemas.derived import Bar, ChainAnalytics
from optionstream.schemas.files.feature_rows import COLUMNS, Row, newest, version_of
from optionstream.streams.core.features.facts import facts_of
from optionstream.streams.core.features.join import KEPT_DAYS, FeatureJoin, FeatureRules, merge_rows
from tests.harness import feature_model as model
from tests.harness import records as support
from tests.harness.feature_model import MINUTE_MS, NEAR, NEXT, PRODUCTS, batch, on_day, told

RULES = FeatureRules(model.GRACE_MS, model.LATENESS_MS, model.MAX_AGE_MS)
SOME = settings(max_examples=60, deadline=None)
RNGS = st.integers(0, 1 << 32).map(random.Random)
ALL_IDLE = frozenset(PRODUCTS)
Record = Bar | ChainAnalytics


def feed(join: FeatureJoin, record: Record) -> bool:
    if isinstance(record, Bar):
        return join.add_bar(record)
    return join.add_chain(facts_of(record))


def repeated(records: Sequence[Record], rng: random.Random) -> list[Record]:
    """Some stretches once more, as a worker sends them that was killed."""
    out: list[Record] = []
    for record in records:
        out.append(record)
        if rng.random() < 0.05:
            out += out[-rng.randint(1, 20) :]
    return out


def interleaved(
    left: Sequence[Record], right: Sequence[Record], rng: random.Random
) -> list[Record]:
    """Both in their own order, in stretches."""
    queues, out = [list(left), list(right)], []
    while any(queues):
        queue = rng.choice([queue for queue in queues if queue])
        count = rng.choice((1, 3, 50, 1_000))
        out += queue[:count]
        del queue[:count]
    return out


def run(records: Iterable[Record], rng: random.Random, idle: float = 0.0) -> list[Row]:
    """All rows that are kept; taken after any record, with products idle now and then."""
    join, rows = FeatureJoin(RULES), list[Row]()
    for record in records:
        feed(join, record)
        if rng.random() < 0.2:
            some = ALL_IDLE if rng.random() < idle else frozenset()
            rows = merge_rows(rows, join.take_rows(some))
    rows = merge_rows(rows, join.take_rows())
    rows = merge_rows(rows, join.take_rows(ALL_IDLE))
    assert not any(join.outstanding().values())
    assert join.take_rows(ALL_IDLE) == []
    return rows


@SOME
@given(model.bars(), model.chains(), RNGS)
def test_in_any_order_with_repeats_and_idle_times_the_newest_rows_are_those_of_a_batch(
    bars: list[Bar], chains: list[ChainAnalytics], rng: random.Random
) -> None:
    shuffled = repeated(chains, rng)
    rng.shuffle(shuffled)
    rows = run(interleaved(repeated(bars, rng), shuffled, rng), rng, idle=0.5)
    assert told(newest(rows)) == batch(bars, chains)


@SOME
@given(model.bars(), model.chains(), RNGS)
def test_chains_in_order_of_receipt_make_the_same_rows_and_revisions_in_any_interleaving(
    bars: list[Bar], chains: list[ChainAnalytics], rng: random.Random
) -> None:
    first = run([*bars, *chains], random.Random(1))
    again = run(interleaved(repeated(bars, rng), repeated(chains, rng), rng), rng)
    assert again == first
    final = [bar for bar in bars if bar.final and bar.interval != "1d"]
    assert len(first) == len({bar.id for bar in final})  # one row for each revision of a bar
    assert told(newest(first)) == batch(bars, chains)


@SOME
@given(
    model.bars(),
    model.chains(),
    model.chains(),
    st.integers(1, model.MINUTES),
    RNGS,
)
def test_nothing_after_the_end_of_a_bar_changes_its_row(
    bars: list[Bar],
    chains: list[ChainAnalytics],
    others: list[ChainAnalytics],
    minute: int,
    rng: random.Random,
) -> None:
    """Bars that end later, chains of a later exchange time, chains received later: all others."""
    end = support.OPEN_MS + minute * MINUTE_MS

    def later(one: ChainAnalytics) -> bool:
        return one.ts_event > end or one.ts_recv > end + model.GRACE_MS

    early_bars = [bar for bar in bars if bar.end <= end]
    early = [one for one in chains if not later(one)]
    changed = [one for one in others if later(one)]
    altered = [
        msgspec.structs.replace(bar, close=1.0, revision=bar.revision) if bar.end > end else bar
        for bar in bars
    ]
    rows = run(interleaved(bars, chains, rng), rng)
    known = {(row["product"], row["interval"], row["start"]) for row in rows if row["end"] <= end}
    by_receipt = sorted([*early, *changed], key=lambda one: one.ts_recv)
    for input_, found in (
        (altered, by_receipt),
        (early_bars, early),
        (early_bars, chains),
    ):
        others_rows = run(interleaved(input_, found, rng), rng, idle=0.3)
        kept = [row for row in others_rows if row["end"] <= end]
        assert told(newest(kept)) == {
            key: row for key, row in told(newest(rows)).items() if key in known
        }


# -- when a row goes out --------------------------------------------------------------------------


def bar_of_minute(minute: int, revision: int = 1, product: str = "NIFTY") -> Bar:
    return support.bar(minute - 1, revision, product=product)


def seconds(second: float, expiry: str = NEAR, delay_ms: int = 0, mark: int = 0) -> ChainAnalytics:
    made: ChainAnalytics = model.chain(int(second * 1000), expiry, delay_ms, mark)
    return made


def fed(*records: Record) -> FeatureJoin:
    join = FeatureJoin(RULES)
    for record in records:
        feed(join, record)
    return join


def test_a_row_waits_until_a_chain_was_received_after_its_end_grace_and_lateness() -> None:
    join = fed(seconds(30), bar_of_minute(1))
    assert join.take_rows() == []
    for second in (59.0, 60.0, 64.0):  # 60 + 2 of grace + 2 of lateness
        feed(join, seconds(second, NEXT))
        assert join.take_rows() == [], second
    feed(join, seconds(64.001, NEXT))
    (row,) = join.take_rows()
    assert (row["near_age_ms"], row["next_age_ms"]) == (30_000, 0)
    assert join.take_rows() == []


def test_a_row_waits_for_its_bar() -> None:
    join = fed(seconds(30), seconds(300))
    assert join.take_rows(ALL_IDLE) == []
    feed(join, bar_of_minute(1, revision=0))
    assert join.take_rows(ALL_IDLE) == []
    feed(join, bar_of_minute(1))
    assert len(join.take_rows()) == 1


def test_the_chains_of_another_product_hold_nothing_back_and_let_nothing_go() -> None:
    join = fed(bar_of_minute(1), model.chain(500_000, NEAR, product="BANKNIFTY"))
    assert join.take_rows(frozenset({"BANKNIFTY"})) == []
    (row,) = join.take_rows(frozenset({"NIFTY"}))
    assert row["near_reason"] == row["next_reason"] == "no_chain_yet"


def test_a_chain_of_the_end_itself_counts_and_one_a_millisecond_later_does_not() -> None:
    for second, counts in ((60.0, True), (60.001, False)):
        (row,) = fed(seconds(30, mark=1), seconds(second), bar_of_minute(1)).take_rows(ALL_IDLE)
        assert (row["near_ts_event"] == row["end"]) is counts


def test_a_chain_received_after_the_grace_does_not_count() -> None:
    for delay_ms, counts in ((12_000, True), (12_001, False)):
        (row,) = fed(seconds(50, delay_ms=delay_ms), bar_of_minute(1)).take_rows(ALL_IDLE)
        assert (row["near_expiry"] == NEAR) is counts


def test_a_row_of_an_idle_time_is_followed_by_a_revision_when_chains_come_after_all() -> None:
    join = fed(bar_of_minute(1))
    rows = merge_rows([], join.take_rows(ALL_IDLE))
    assert [row["near_reason"] for row in rows] == ["no_chain_yet"]
    feed(join, seconds(50))
    assert join.outstanding() == {"NIFTY": 1}
    assert join.take_rows() == []
    feed(join, seconds(70))
    rows = merge_rows(rows, join.take_rows())
    assert [(row["revision"], row["near_reason"]) for row in rows] == [
        (1, "no_chain_yet"),
        (2, None),
    ]
    assert rows[1]["near_ts_event"] == support.OPEN_MS + 50_000


def test_a_late_chain_makes_a_revision_of_every_row_that_it_belongs_to() -> None:
    bars = [bar_of_minute(minute) for minute in (1, 2, 3, 4)]
    rows = merge_rows([], (join := fed(*bars, seconds(30), seconds(150), seconds(400))).take_rows())
    feed(join, seconds(90))
    rows = merge_rows(rows, join.take_rows())
    assert [row["revision"] for row in rows] == [1, 1, 2, 1, 1]
    assert [row["near_age_ms"] for row in newest(rows)] == [30_000, 30_000, 30_000, 90_000]


def test_a_late_tick_makes_a_revision_with_the_chains_of_then() -> None:
    join = fed(bar_of_minute(1), seconds(30), seconds(400))
    rows = merge_rows([], join.take_rows())
    feed(join, bar_of_minute(1, revision=2))
    rows = merge_rows(rows, join.take_rows())
    assert [(row["revision"], row["bar_revision"]) for row in rows] == [(1, 1), (2, 2)]
    assert rows[0]["near_snapshot_id"] == rows[1]["near_snapshot_id"]


def test_a_silent_chain_has_its_age_and_no_figures() -> None:
    age_s = model.MAX_AGE_MS / 1000
    bar = bar_of_minute(20)
    at = 20 * 60
    (row,) = fed(seconds(at - age_s), seconds(at - age_s - 0.001, NEXT), bar).take_rows(ALL_IDLE)
    assert row["near_reason"] is None and row["near_pcr_oi"] is not None
    assert (row["next_reason"], row["next_age_ms"]) == ("chain_silent", model.MAX_AGE_MS + 1)
    assert row["next_pcr_oi"] is None and row["next_forward"] is None


def test_a_silent_nearest_expiry_is_not_replaced_by_the_next() -> None:
    (row,) = fed(seconds(1), seconds(1_795, NEXT), bar_of_minute(30)).take_rows(ALL_IDLE)
    assert (row["near_expiry"], row["near_reason"]) == (NEAR, "chain_silent")
    assert (row["next_expiry"], row["next_reason"]) == (NEXT, None)


def test_what_is_null_in_the_chain_is_null_with_its_reason() -> None:
    made = msgspec.structs.replace(
        seconds(30),
        atm_iv=None,
        pcr_oi=None,
        null_reasons={"pcr_oi": "zero_call_oi", "atm_iv": "no_iv"},
        flags=["missing_legs", "stale"],
        resistance=[],
    )
    (row,) = fed(made, bar_of_minute(1)).take_rows(ALL_IDLE)
    assert (row["near_atm_iv"], row["near_pcr_oi"], row["near_resistance"]) == (None, None, None)
    assert row["near_null_reasons"] == "atm_iv:no_iv,pcr_oi:zero_call_oi"
    assert row["near_flags"] == "missing_legs,stale"


def test_a_row_has_every_column_in_order() -> None:
    (row,) = fed(seconds(30), bar_of_minute(1)).take_rows(ALL_IDLE)
    assert list(row) == [column.name for column in COLUMNS]
    types = {"string": str, "int": int, "float": float}
    for column in COLUMNS:
        value = row[column.name]
        assert isinstance(value, types[column.kind]) or (value is None and column.null), column


def test_only_the_intervals_asked_for_make_rows() -> None:
    rules = FeatureRules(0, 0, 1, ("5m",))
    join = FeatureJoin(rules)
    assert not join.add_bar(support.bar(0, interval="1m"))
    assert join.add_bar(support.bar(0, interval="5m"))
    assert not join.add_bar(support.bar(0, interval="1d"))


# -- days -----------------------------------------------------------------------------------------


def test_chains_of_another_date_are_none_of_a_bars() -> None:
    (row,) = fed(seconds(30), on_day(bar_of_minute(1), 1)).take_rows(ALL_IDLE)
    assert row["near_reason"] == "no_chain_yet"


def test_a_date_stays_open_until_both_inputs_have_left_it() -> None:
    join = fed(bar_of_minute(1), seconds(30))
    ((product, day),) = join.open_days()
    for later in (1, 4):
        for record in (on_day(bar_of_minute(1), later), on_day(seconds(30), later)):
            join.take_rows()
            assert (product, day) in set(join.open_days())
            feed(join, record)
    join.take_rows()
    assert set(join.open_days()) == {(product, day + 1), (product, day + 4)}
    assert not feed(join, seconds(31))  # its date is no longer kept


def test_a_chain_of_the_close_that_comes_with_the_next_session_belongs_to_the_last_bar() -> None:
    """Chains assembled from quotes do."""
    join = fed(bar_of_minute(1), seconds(30), on_day(bar_of_minute(1), 1), on_day(seconds(30), 1))
    rows = merge_rows([], join.take_rows())
    assert [row["near_age_ms"] for row in newest(rows)] == [30_000]
    assert feed(join, seconds(60, delay_ms=0))
    rows = merge_rows(rows, join.take_rows())
    assert [(row["revision"], row["near_age_ms"]) for row in rows] == [(1, 30_000), (2, 0)]


@pytest.mark.parametrize("days", [1, 3, KEPT_DAYS + 5])
def test_chains_far_behind_the_bars_are_waited_for(days: int) -> None:
    bars = [on_day(bar_of_minute(minute), day) for day in range(days) for minute in (1, 2)]
    chains = [on_day(seconds(second), day) for day in range(days) for second in (30, 90)]
    join = fed(*bars)
    assert join.take_rows() == []
    rows: list[Row] = []
    for one in chains:
        feed(join, one)
        rows = merge_rows(rows, join.take_rows())
    rows = merge_rows(rows, join.take_rows(ALL_IDLE))
    assert told(rows) == batch(bars, chains)
    assert {row["revision"] for row in rows} == {1}


def test_a_date_that_nothing_follows_is_given_up_when_its_partition_is_far_ahead() -> None:
    join = fed(bar_of_minute(1), seconds(30))
    ahead = bar_of_minute(1, product="BANKNIFTY")
    for days in range(1, KEPT_DAYS):
        feed(join, on_day(ahead, 30 * days))
        join.take_rows(frozenset({"BANKNIFTY"}))
    feed(join, on_day(ahead, 30 * KEPT_DAYS))
    join.take_rows()
    assert [product for product, _ in join.open_days()].count("NIFTY") == 1  # its row is owed
    (row,) = join.take_rows(frozenset({"NIFTY"}))
    assert row["near_reason"] is None
    assert {product for product, _ in join.open_days()} == {"BANKNIFTY"}
    feed(join, bar_of_minute(2))
    (row,) = join.take_rows()
    assert row["near_reason"] == row["next_reason"] == "chains_gone"
    assert merge_rows([], [row])[0]["revision"] == 1


# -- versions -------------------------------------------------------------------------------------


def test_a_row_made_from_less_never_follows_one_made_from_more() -> None:
    more = fed(bar_of_minute(1), seconds(30), seconds(50)).take_rows(ALL_IDLE)
    less = fed(bar_of_minute(1), seconds(30)).take_rows(ALL_IDLE)
    assert version_of(less[0]) < version_of(more[0])
    kept = merge_rows([], more)
    assert merge_rows(kept, less) == kept
    assert [row["revision"] for row in merge_rows(merge_rows([], less), more)] == [1, 2]


def test_a_nearer_expiry_is_more_than_a_later_snapshot() -> None:
    far = fed(bar_of_minute(1), seconds(50, NEXT)).take_rows(ALL_IDLE)
    near = fed(bar_of_minute(1), seconds(50, NEXT), seconds(10, NEAR)).take_rows(ALL_IDLE)
    assert version_of(near[0]) > version_of(far[0])
