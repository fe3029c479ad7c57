"""From a reject to the record that is sent again."""

from __future__ import annotations

import pytest

from optionstream.deploy.rejects.log import Choice, chain_of, product_of
from optionstream.deploy.rejects.resend import cut, resent
from optionstream.schemas import codec, rejects, topics
from optionstream.schemas.derived import Reject
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import CandleFrame, Tick, TickFrame
from optionstream.schemas.topics import partition_for
from tests.harness.records import bar, frame

PARTITIONS = 6
HOME = partition_for("NIFTY", PARTITIONS)
KEY = b"NIFTY"


def reject(
    record: codec.Record | bytes | None,
    reason: str = rejects.BAD_PRICE,
    indices: list[int] | None = None,
    offset: int = 17,
    **changes: object,
) -> Reject:
    raw = record if isinstance(record, bytes | None) else codec.encode(record)
    headers = [] if isinstance(record, bytes | None) else codec.headers_for(record)
    fields: dict[str, object] = {
        "reason": reason,
        "detail": "",
        "topic": topics.UNDERLYING,
        "partition": HOME,
        "offset": offset,
        "record_ts": 1_000,
        "events": 1,
        "indices": indices or [],
        "raw_key": KEY,
        "raw": raw,
        "headers": headers,
    }
    return Reject(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_whole_record_is_sent_as_it_was_and_says_where_it_comes_from() -> None:
    refused = reject(b"\xff", rejects.UNDECODABLE, headers=[("feed", b"x"), ("schema", b"tick:9")])
    again = resent(refused, PARTITIONS, normalise=False)
    assert (again.topic, again.partition, again.key, again.value, again.timestamp) == (
        topics.UNDERLYING,
        HOME,
        KEY,
        b"\xff",
        1_000,
    )
    assert again.headers == [
        ("feed", b"x"),
        ("schema", b"tick:9"),
        ("redriven-from", refused.id.encode()),
        ("redrive-attempt", b"1"),
    ]


def test_of_a_frame_only_what_was_refused_is_sent() -> None:
    whole = frame(0, 5, tick_id=[5, 6, 7, 8, 9])
    again = resent(reject(whole, indices=[1, 3]), PARTITIONS, normalise=False)
    sent = codec.decode(again.value, again.headers)
    assert isinstance(sent, TickFrame)
    assert (sent.seq, sent.tick_id, sent.volume) == ([1, 3], [6, 8], [75, 225])
    assert (sent.source, sent.session, sent.ts_recv) == (
        whole.source,
        whole.session,
        whole.ts_recv,
    )
    assert [name for name, _ in again.headers].count("schema") == 1


def test_a_tick_that_waited_comes_as_a_frame_of_its_own() -> None:
    alone = frame(7, 1)
    refused = reject(alone, rejects.TOO_LATE, indices=[4])
    again = resent(refused, PARTITIONS, normalise=False)
    assert again.value == codec.encode(alone)


def test_a_single_tick_of_a_foreign_producer_keeps_its_form() -> None:
    raw = b'{"product":"NIFTY","ts_ms":1,"price":-1.0}'
    again = resent(reject(raw, indices=[0]), PARTITIONS, normalise=False)
    assert again.value == raw
    assert "schema" not in dict(again.headers)


def test_candles_are_cut_in_all_their_columns_and_without_volume_too() -> None:
    candles = CandleFrame("NIFTY", "s", "d", 1, 60_000, [1, 2, 3], *[[1.0, 2.0, 3.0]] * 4, None)
    assert cut(candles, [2]) == CandleFrame(
        "NIFTY", "s", "d", 1, 60_000, [3], [3.0], [3.0], [3.0], [3.0], None
    )
    assert cut(candles, [0, 1, 2]) is candles


def test_normalised_key_topic_partition_and_schema_are_those_of_the_content() -> None:
    astray = reject(
        frame(0, 2),
        rejects.WRONG_TOPIC,
        topic=topics.OPTION_CHAIN,
        partition=(HOME + 1) % PARTITIONS,
        raw_key=b"wrong",
    )
    again = resent(astray, PARTITIONS, normalise=True)
    assert (again.topic, again.partition, again.key) == (topics.UNDERLYING, HOME, KEY)
    assert codec.decode(again.value, again.headers) == frame(0, 2)
    foreign = reject(b'{"product":"NIFTY","ts_ms":1,"price":2}', rejects.KEY_MISMATCH, raw_key=None)
    again = resent(foreign, PARTITIONS, normalise=True)
    assert (again.key, dict(again.headers)["schema"]) == (KEY, b"tick:1")
    assert codec.decode(again.value, again.headers) == Tick("NIFTY", 1, 2.0)


def test_what_cannot_be_decoded_cannot_be_normalised() -> None:
    with pytest.raises(RecordError, match="undecodable"):
        resent(reject(b"\xff"), PARTITIONS, normalise=True)
    with pytest.raises(RecordError, match="not a market event"):
        resent(reject(bar()), PARTITIONS, normalise=True)


def test_the_chain_of_causes_leads_to_the_first_and_counts_the_attempts() -> None:
    first = reject(frame(0, 1))
    history, refused = [first], first
    for attempt in (1, 2, 3):
        again = resent(refused, PARTITIONS, normalise=attempt == 2)
        refused = reject(again.value, offset=100 + attempt, headers=list(again.headers))
        history.append(refused)
        assert rejects.causes(refused.headers) == [one.id for one in history[:-1]]
        attempts = [value for name, value in again.headers if name == "redrive-attempt"]
        assert attempts == [str(attempt).encode()]
    chain = chain_of(refused, history[1:])  # the first is gone from the topic
    assert [id_ for id_, _ in chain] == [one.id for one in history]
    assert [there for _, there in chain] == [None, *history[1:]]


def test_a_choice_takes_what_meets_all_its_conditions() -> None:
    one = reject(b"\xff", rejects.UNDECODABLE)
    assert product_of(one) == "NIFTY"
    assert product_of(reject(b"\xff", raw_key=b"SENSEX:2026-01-08")) == "SENSEX"
    assert product_of(reject(None, raw_key=None)) is None
    assert product_of(reject(frame(0, 1, product="SENSEX"))) == "SENSEX"
    assert Choice().includes(one)
    assert Choice(frozenset([one.id]), rejects.UNDECODABLE, topics.UNDERLYING, "NIFTY").includes(
        one
    )
    assert not Choice(frozenset(["other"])).includes(one)
    assert not Choice(reason=rejects.BAD_PRICE).includes(one)
    assert not Choice(topic=topics.OPTION_CHAIN).includes(one)
    assert not Choice(product="SENSEX").includes(one)
