"""Nothing wrong, nothing missing and nothing too much goes unseen, in Kafka, MongoDB and Redis."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from optionstream.schemas import documents, topics
from optionstream.schemas.derived import INTERVAL_MS, Bar, ChainAnalytics, Gap, Reject
from optionstream.schemas.events import ChainSnapshot
from optionstream.schemas.times import ist
from optionstream.streams.core.chains.analyse import ExpiryChains
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.rules import Rules as CoreRules
from optionstream.streams.core.surface.surfaces import ProductSurfaces
from optionstream.streams.verify.chains.facts import facts_of_document, facts_of_record
from tests.unit.streams.verify.world import (
    DAY,
    HOME,
    MINUTE,
    OPEN,
    PRODUCT,
    Log,
    Stores,
    as_json,
    heartbeat,
    kinds,
    legs,
    snapshot,
    tick_record,
)

BAR_TOPIC = "kafka analytics.ohlc"
CHAIN_TOPIC = "kafka analytics.chain"
GAP_TOPIC = "kafka analytics.gaps"
CLOSE = OPEN + 375 * MINUTE
REJECT_TOPIC = "kafka rejects"
MONGO_TICKS = "mongo underlying_ticks"


def bar(interval: str, **changed: Any) -> Bar:
    """A bar over the two ticks of `day`, from the session's first window on."""
    told = Bar(
        product=PRODUCT,
        interval=interval,  # type: ignore[arg-type]
        session="2024-01-01",
        start=OPEN,
        end=min(OPEN + INTERVAL_MS[interval], CLOSE),
        open=10.0,
        high=12.0,
        low=10.0,
        close=12.0,
        volume=5,
        volume_reason=None,
        ticks=2,
        revision=1,
        final=True,
        known_at=OPEN,
    )
    return msgspec.structs.replace(told, **changed)


def analytics(*chains: ChainSnapshot, **changed: Any) -> ChainAnalytics:
    """What the stream makes of the last of an expiry's snapshots."""
    memory, rules = ExpiryChains(), CoreRules(nse_calendar())
    told = [memory.analyse(chain, rules, OPEN) for chain in chains][-1]
    return msgspec.structs.replace(told, **changed)


CHAIN = snapshot([100.0, 110.0, 120.0], legs([10, 20, 30]), legs([5, 40, 15]), oi_unit="shares")
FRAME = tick_record([1, 4, 5], [OPEN, OPEN + 1, OPEN + 2], [10.0, 12.0, -1.0], [7, 12, None])


(SURFACE,) = ProductSurfaces().add_chain(analytics(CHAIN))


SILENCE = Gap(
    product=PRODUCT,
    kind="silence",
    session="2024-01-01",
    source="",
    label="",
    first=None,
    last=None,
    missing=[],
    start=OPEN + 1,
    end=CLOSE,
    revision=1,
    filled=False,
    known_at=OPEN,
)
HOLE = msgspec.structs.replace(
    SILENCE,
    kind="sequence",
    source="test",
    label="s1",
    first=2,
    last=3,
    missing=[(2, 3)],
    start=OPEN,
    end=OPEN + 1,
)


def reject(stores: Stores, **changed: Any) -> Reject:
    """The reject of FRAME's third tick."""
    record = stores.log.records[0]
    told = Reject(
        reason="bad_price",
        detail="",
        topic=topics.UNDERLYING,
        partition=HOME,
        offset=0,
        record_ts=record.timestamp,
        events=1,
        indices=[2],
        raw_key=record.key,
        raw=record.value,
        headers=[(name, value or b"") for name, value in record.headers or []],
    )
    return msgspec.structs.replace(told, **changed)


def day(
    *,
    bars: bool = True,
    chains: bool = True,
    rejects: bool = True,
    gaps: bool = True,
    surfaces: bool = True,
) -> Stores:
    """A day of two good ticks, one refused tick and one chain, and all that comes of it."""
    stores = Stores()
    record = stores.log.add(FRAME)
    stores.log.add(heartbeat(OPEN + DAY // 2))
    stores.log.add(CHAIN)
    stores.put_ticks(record, FRAME)
    row = stores.mongo[documents.TICKS].rows[2]
    row["refused"] = "bad_price"
    stores.redis["latest:underlying:NIFTY"] = as_json(
        documents.tick_document(PRODUCT, OPEN + 1, 12.0, 12, 4, "test", "s1")
    )
    if gaps:
        stores.put_gap(SILENCE)
        stores.put_gap(HOLE)
    if bars:
        for interval in INTERVAL_MS:
            stores.put_bar(bar(interval))
    if chains:
        stores.put_chain(analytics(CHAIN))
    if surfaces:
        stores.put_surface(SURFACE)
    else:
        stores.partitions[topics.SURFACE] = 0
    if rejects:
        stores.put_reject(reject(stores))
    return stores


def test_a_correct_day_shows_no_difference() -> None:
    counts = {"accepted": 3, "duplicates": 0, "rejects": {"bad_price": 1, "bad_time": 0}}
    report = day().verify(counts)
    assert report.differences == []
    assert report.ok
    assert report.surplus_raw_ticks == 0
    assert report.counts.to_dict() == {
        "source": 4,
        "accepted": 3,
        "outside_session": 0,
        "outside": {},
        "duplicates": 0,
        "held": 0,
        "rejects": {"bad_price": 1},
    }
    assert report.checked["bars"] == 7
    assert report.checked["gaps"] == report.checked["mongo_gaps"] == 2
    assert report.checked["mongo_ticks"] == 3
    assert b'"ok":true' in report.to_json().encode()


def test_what_is_told_twice_alike_is_no_difference() -> None:
    stores = day()
    stores.outputs += stores.outputs
    stores.put(topics.OHLC, PRODUCT, bar("1m", known_at=OPEN + 99))
    assert stores.verify().ok


def test_missing_outputs_are_reported_everywhere() -> None:
    stores = day(bars=False, chains=False, surfaces=False, rejects=False, gaps=False)
    report = stores.verify()
    assert kinds(report) == {
        f"missing {place}"
        for place in (
            *(BAR_TOPIC, CHAIN_TOPIC, GAP_TOPIC, REJECT_TOPIC),
            *("mongo ohlc", "mongo option_chains", "mongo gaps", "mongo rejects", "redis"),
        )
    }
    assert report.difference_totals["mongo ohlc: missing"] == 7
    assert report.difference_totals["mongo gaps: missing"] == 2
    assert report.difference_totals["redis: missing"] == 15
    assert not report.ok


@pytest.mark.parametrize(
    "changed",
    [
        {"open": 10.5},
        {"high": 13.0},
        {"low": 9.0},
        {"close": 10.0},
        {"volume": 6},
        {"volume": None},
        {"volume_reason": "no_volume"},
        {"ticks": 3},
        {"end": OPEN + 5},
        {"session": "2024-01-02"},
        {"final": False},
    ],
)
def test_a_wrong_bar_is_different_everywhere(changed: dict[str, Any]) -> None:
    stores = day(bars=False)
    for interval in INTERVAL_MS:
        stores.put_bar(bar(interval, **(changed if interval == "5m" else {})))
    report = stores.verify()
    assert f"different {BAR_TOPIC}" in kinds(report)
    assert "different redis" in kinds(report)
    if changed.get("final", True):
        assert "different mongo ohlc" in kinds(report)
        (found,) = [one for one in report.differences if one.where == "mongo ohlc"]
        assert found.actual == changed
        assert found.id == f"NIFTY|5m|{OPEN}|1"


@pytest.mark.parametrize("changed", [{"revision": 2}, {"start": OPEN + MINUTE}, {"product": "X"}])
def test_a_bar_too_many_is_surplus_everywhere(changed: dict[str, Any]) -> None:
    stores = day()
    stores.put_bar(bar("1m", **changed))
    assert {f"surplus {BAR_TOPIC}", "surplus mongo ohlc"} < kinds(stores.verify())


def test_two_bars_of_one_id_are_a_difference() -> None:
    stores = day()
    stores.put(topics.OHLC, PRODUCT, bar("1m", close=10.0))
    assert kinds(stores.verify()) == {f"different {BAR_TOPIC}"}


def test_a_bar_under_another_id_is_a_difference() -> None:
    stores = day()
    stores.mongo[documents.BARS].rows[0]["_id"] = "x"
    assert kinds(stores.verify()) == {"different mongo ohlc"}


def test_partial_bars_are_judged_and_not_demanded() -> None:
    stores = day()
    stores.put(topics.OHLC, PRODUCT, bar("1m", revision=0, final=False))
    assert stores.verify().ok
    stores.put(topics.OHLC, PRODUCT, bar("1m", revision=0, final=False, high=13.0))
    stores.put(topics.OHLC, "X", bar("1m", revision=0, final=False, product="X"))
    report = stores.verify()
    assert report.difference_totals[f"{BAR_TOPIC}: different"] == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"last": 4},
        {"missing": [(2, 2)]},
        {"missing": []},
        {"start": OPEN - 1},
        {"end": OPEN + 2},
        {"filled": True},
        {"kind": "silence"},
        {"session": "2024-01-02"},
        {"source": "other"},
        {"label": ""},
        {"first": 3},
        {"revision": 2},
    ],
)
def test_a_wrong_gap_is_seen_everywhere(changed: dict[str, Any]) -> None:
    stores = day(gaps=False)
    stores.put_gap(SILENCE)
    stores.put_gap(msgspec.structs.replace(HOLE, **changed))
    named = changed.keys() & {"kind", "session", "source", "label", "first", "revision"}
    found = ("missing", "surplus") if named else ("different",)
    wanted = {f"{kind} {place}" for kind in found for place in (GAP_TOPIC, "mongo gaps")}
    assert kinds(stores.verify()) == wanted


def test_a_gap_that_is_filled_must_be_told_as_filled() -> None:
    stores = day()
    record = stores.log.add(tick_record([2], [OPEN], [11.0]))
    told = stores.verify()
    assert {f"missing {GAP_TOPIC}", "missing mongo gaps"} < kinds(told)
    assert record.offset == 2
    stores.log.add(tick_record([3], [OPEN + 1], [11.0]))
    stores.put_gap(msgspec.structs.replace(HOLE, revision=2, missing=[(3, 3)]))
    stores.put_gap(msgspec.structs.replace(HOLE, revision=3, missing=[], filled=True))
    assert not any("gaps" in kind for kind in kinds(stores.verify()))


def test_two_gaps_of_one_id_are_a_difference() -> None:
    stores = day()
    stores.put(topics.GAPS, PRODUCT, msgspec.structs.replace(HOLE, end=OPEN + 2))
    assert kinds(stores.verify()) == {f"different {GAP_TOPIC}"}


def test_a_gap_under_another_id_is_a_difference() -> None:
    stores = day()
    stores.mongo[documents.GAPS].rows[0]["_id"] = "x"
    assert kinds(stores.verify()) == {"different mongo gaps"}


def test_a_silence_that_is_not_told_and_one_that_is_none_are_seen() -> None:
    stores = day()
    stores.settings = dataclasses.replace(stores.settings, silence_ms=DAY)
    assert kinds(stores.verify()) == {f"surplus {GAP_TOPIC}", "surplus mongo gaps"}


def test_a_record_under_a_wrong_key_is_misplaced() -> None:
    stores = day()
    stores.put(topics.OHLC, "BANKNIFTY", bar("1m"))
    stores.put(topics.GAPS, "BANKNIFTY", HOLE)
    stores.put(topics.CHAIN, "NIFTY", analytics(CHAIN))
    stores.put(topics.CHAIN, "NIFTY:2024-01-04", analytics(CHAIN), partition=HOME ^ 1)
    report = stores.verify()
    assert kinds(report) == {f"misplaced {topic}" for topic in (BAR_TOPIC, CHAIN_TOPIC, GAP_TOPIC)}


def test_the_partition_of_an_output_is_that_of_its_input() -> None:
    stores = day()
    elsewhere = topics.partition_for(PRODUCT, 1_000)
    assert elsewhere != HOME
    stores.partitions[topics.OHLC] = 1_000
    assert stores.verify().ok
    stores.put(topics.OHLC, PRODUCT, bar("1m"), partition=elsewhere)
    assert kinds(stores.verify()) == {f"misplaced {BAR_TOPIC}"}


def test_an_output_that_is_none_is_unreadable() -> None:
    stores = day()
    stores.put(topics.OHLC, PRODUCT, FRAME)
    stores.outputs.append(stores.outputs[0]._replace(value=b"?"))
    for name in (
        documents.BARS,
        documents.CHAINS,
        documents.SURFACES,
        documents.GAPS,
        documents.REJECTS,
    ):
        stores.mongo[name].rows.append({"_id": "x"})
    assert kinds(stores.verify()) == {
        f"unreadable {place}"
        for place in (
            *(BAR_TOPIC, GAP_TOPIC, "mongo ohlc", "mongo option_chains"),
            *("mongo gaps", "mongo rejects", "mongo volatility_surfaces"),
        )
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"call_oi": 61.0},
        {"put_oi": 60.0 + 1e-9},
        {"pcr_oi": None},
        {"pcr_volume": 1.000001},
        {"max_pain": 100.0},
        {"missing_legs": 1},
        {"null_reasons": {"pcr_oi": "no_calls"}},
        {"flags": ["missing_legs"]},
        {"source": "other"},
        {"ts_recv": OPEN + 1},
        {"oi_unit": "lots"},
        {"underlying_price": None},
        {"capture_id": "x"},
        {"expiries_in_capture": 2},
        {"calls": legs([10, 20, 31])},
        {"puts": legs([5, 40, 16])},
    ],
)
def test_a_wrong_chain_is_different_everywhere(changed: dict[str, Any]) -> None:
    stores = day(chains=False, surfaces=False)
    stores.put_chain(analytics(CHAIN, **changed))
    found = kinds(stores.verify())
    assert found == {f"different {p}" for p in (CHAIN_TOPIC, "mongo option_chains", "redis")}


def test_rounding_of_a_sum_is_no_difference() -> None:
    stores = day(chains=False, surfaces=False)
    stores.put_chain(analytics(CHAIN, call_oi=60.0 + 1e-14, pcr_volume=1.0 - 1e-15))
    assert stores.verify().ok


@pytest.mark.parametrize(
    "changed",
    [{"snapshot_id": "1-x"}, {"expiry": "2024-01-11"}, {"product": "X"}],
)
def test_a_chain_too_many_is_surplus(changed: dict[str, Any]) -> None:
    stores = day()
    stores.put_chain(analytics(CHAIN, **changed))
    assert {f"surplus {CHAIN_TOPIC}", "surplus mongo option_chains"} < kinds(stores.verify())


def test_content_accepted_twice_needs_both_tellings_in_kafka_and_one_in_mongodb() -> None:
    stores = day(surfaces=False)
    again = msgspec.structs.replace(CHAIN, seq=1, ts_recv=OPEN + 9)
    stores.log.add(again)
    assert kinds(stores.verify()) == {f"missing {CHAIN_TOPIC}", "different redis"}
    second = analytics(again)
    stores.put(topics.CHAIN, "NIFTY:2024-01-04", second)
    stores.redis["latest:chain:NIFTY:2024-01-04"] = as_json(documents.chain_document(second))
    assert stores.verify().ok


def test_the_newest_chain_is_demanded_of_redis() -> None:
    stores = day(surfaces=False)
    newer = msgspec.structs.replace(CHAIN, ts_event=OPEN + 5, ts_recv=OPEN + 5)
    stores.log.add(newer)
    older = dict(stores.redis)
    stores.put_chain(analytics(CHAIN, newer))
    assert stores.verify().ok
    stores.redis = older
    report = stores.verify()
    assert kinds(report) == {"different redis"}
    assert report.difference_totals == {"redis: different": 2 + 6}


@pytest.mark.parametrize(
    "changed",
    [
        {"events": 2},
        {"indices": [1]},
        {"indices": [1, 2]},
        {"raw": b"other"},
        {"raw_key": None},
        {"headers": []},
        {"record_ts": 1},
    ],
)
def test_a_wrong_reject_is_different(changed: dict[str, Any]) -> None:
    stores = day(rejects=False)
    stores.put_reject(reject(stores, **changed))
    assert kinds(stores.verify()) == {f"different {p}" for p in (REJECT_TOPIC, "mongo rejects")}


@pytest.mark.parametrize(
    "changed", [{"reason": "bad_time"}, {"offset": 1}, {"partition": 9}, {"topic": "x"}]
)
def test_a_reject_too_many_is_surplus(changed: dict[str, Any]) -> None:
    stores = day()
    stores.put_reject(reject(stores, **changed))
    assert kinds(stores.verify()) == {f"surplus {p}" for p in (REJECT_TOPIC, "mongo rejects")}


def test_ticks_of_one_record_may_be_refused_in_several_parts() -> None:
    stores = Stores()
    frame = tick_record([1, 2, 3], [OPEN] * 3, [-1.0] * 3)
    record = stores.log.add(frame)
    stores.put_ticks(record, frame)
    del stores.redis["latest:underlying:NIFTY"]
    for row in stores.mongo[documents.TICKS].rows:
        row["refused"] = "bad_price"
    stores.put_reject(reject(stores, indices=[0, 2], events=2))
    assert kinds(stores.verify()) == {f"different {p}" for p in (REJECT_TOPIC, "mongo rejects")}
    stores.put_reject(reject(stores, indices=[1], events=1))
    assert stores.verify().ok


def test_the_reject_of_a_tick_that_waited_need_not_have_its_record() -> None:
    stores = Stores()
    frame = tick_record([1, 2, 3], [OPEN, OPEN + DAY, OPEN + DAY + 1], [1.0] * 3, None)
    stores.put_ticks(stores.log.add(frame), frame)
    told = {"reason": "too_late", "indices": [0], "raw": b"a frame of one", "record_ts": 1}
    stores.put_reject(reject(stores, **told))
    assert not any("rejects" in kind for kind in kinds(stores.verify()))


TickRows = list[dict[str, Any]]


def _drop(rows: TickRows) -> None:
    del rows[0]


def _repeat(rows: TickRows) -> None:
    rows.append(dict(rows[0]))


def _of_another_offset(rows: TickRows) -> None:
    rows.append({**rows[0], "o": 77})


def _change(**changed: Any) -> Callable[[TickRows], None]:
    def change(rows: TickRows) -> None:
        rows[0].update(changed)

    return change


@pytest.mark.parametrize(
    ("mutate", "kind"),
    [
        (_drop, "missing"),
        (_repeat, "surplus"),
        (_of_another_offset, "surplus"),
        (_change(price=11.0), "different"),
        (_change(volume=None), "different"),
        (_change(timestamp=ist(OPEN + 1)), "different"),
        (_change(product="X"), "different"),
        (_change(seq=9), "different"),
        (_change(refused="bad_price"), "different"),
        (_change(e="epoch-2"), "missing"),
    ],
)
def test_a_stored_tick_must_be_there_once(mutate: Callable[[TickRows], None], kind: str) -> None:
    stores = day()
    mutate(stores.mongo[documents.TICKS].rows)
    assert kinds(stores.verify()) == {f"{kind} {MONGO_TICKS}"}


def test_rows_that_no_range_owns_are_counted_and_no_difference() -> None:
    stores = day()
    rows = stores.mongo[documents.TICKS].rows
    rows += [{**row, "e": "epoch-2"} for row in rows]
    ranges = stores.mongo[documents.TICK_RANGES].rows
    ranges.append({"epoch": "epoch-2", "partition": HOME, "first": 5, "last": 9})
    report = stores.verify()
    assert report.ok
    assert report.surplus_raw_ticks == 3
    ranges.append({"epoch": "epoch-2", "partition": HOME, "first": 0, "last": 0})
    assert kinds(stores.verify()) == {f"surplus {MONGO_TICKS}"}


def _without(key: str) -> Callable[[Stores], None]:
    def change(stores: Stores) -> None:
        del stores.redis[key]

    return change


def _with(key: str, value: Any) -> Callable[[Stores], None]:
    return lambda stores: stores.redis.update({key: value})


@pytest.mark.parametrize(
    ("mutate", "kind"),
    [
        (_without("latest:underlying:NIFTY"), "missing"),
        (_without("ohlc:NIFTY:15m"), "missing"),
        (_without("latest:chain:NIFTY:2024-01-04"), "missing"),
        (_without("latest:pcr:NIFTY:2024-01-04"), "missing"),
        (_without("latest:option:NIFTY04JAN24110PE"), "missing"),
        (_with("latest:underlying:X", {}), "surplus"),
        (_with("ohlc:NIFTY:2m", {}), "surplus"),
        (_without("volatility_surface:NIFTY"), "missing"),
        (_with("volatility_surface:X", {}), "surplus"),
        (_with("volatility_surface:NIFTY", {}), "different"),
        (_with("volatility_surface:NIFTY", None), "different"),
        (_with("latest:option:X", {}), "surplus"),
        (_with("latest:chain:X:2024-01-04", {}), "surplus"),
        (_with("latest:pcr:X:2024-01-04", None), "surplus"),
        (_with("latest:underlying:NIFTY", {}), "different"),
        (_with("latest:underlying:NIFTY", None), "different"),
        (_with("ohlc:NIFTY:1m", None), "different"),
        (_with("latest:chain:NIFTY:2024-01-04", []), "different"),
        (_with("latest:option:NIFTY04JAN24110PE", {}), "different"),
        (_with("latest:pcr:NIFTY:2024-01-04", {"product": "NIFTY"}), "different"),
    ],
)
def test_redis_holds_the_newest_of_each_key(mutate: Callable[[Stores], None], kind: str) -> None:
    stores = day()
    mutate(stores)
    assert kinds(stores.verify()) == {f"{kind} redis"}


def test_an_open_window_in_redis_has_all_its_ticks() -> None:
    stores = Stores()
    frame = tick_record([1, 2], [OPEN, OPEN + 1], [10.0, 12.0], [7, 12])
    stores.put_ticks(stores.log.add(frame), frame)
    for interval in INTERVAL_MS:
        stores.put_bar(bar(interval, revision=0, final=False))
    assert stores.verify().ok
    one = {"revision": 0, "final": False, "ticks": 1, "high": 10.0, "close": 10.0, "volume": 0}
    stores.put_bar(bar("1m", **one))
    assert kinds(stores.verify()) == {"different redis"}
    stores.settings = dataclasses.replace(stores.settings, partial_every_ms=1_000)
    assert stores.verify().ok


def test_counts_of_the_workers_are_compared() -> None:
    wrong = {"accepted": 4, "held": 0, "rejects": {"bad_price": 2}}
    report = day().verify(wrong)
    assert [(one.where, one.id) for one in report.differences] == [
        ("counts", "accepted"),
        ("counts", "rejects"),
    ]


def test_all_differences_are_counted_and_the_first_thousand_listed() -> None:
    stores = Stores()
    frame = tick_record(range(1_500), range(OPEN, OPEN + 1_500))
    stores.log.add(frame)
    report = stores.verify()
    assert report.difference_totals[f"{MONGO_TICKS}: missing"] == 1_500
    assert sum(one.where == MONGO_TICKS for one in report.differences) == 1_000


def test_facts_survive_the_way_through_a_document() -> None:
    chain = analytics(msgspec.structs.replace(CHAIN, calls=legs([10, None, 30])))
    assert chain.missing_legs == 1
    assert facts_of_document(documents.chain_document(chain)) == facts_of_record(chain)


def test_an_empty_namespace_has_no_difference() -> None:
    stores = Stores()
    stores.log = Log()
    report = stores.verify()
    assert report.ok
    assert report.counts.source == 0
