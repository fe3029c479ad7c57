"""Refused records sent again on real servers: each once, whoever dies or tries again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from optionstream.deploy.rejects import redrive as redriving
from optionstream.deploy.rejects.ledger import LEASE_S, Ledger, utc_now
from optionstream.deploy.rejects.log import Choice, read_rejects
from optionstream.deploy.rejects.redrive import (
    ALREADY,
    IN_DOUBT,
    SENT,
    UNUSABLE,
    WOULD_SEND,
    Redrive,
)
from optionstream.deploy.stack import Addresses
from optionstream.schemas import codec, documents, rejects, topics
from optionstream.schemas.derived import Reject
from optionstream.schemas.errors import ServerUnavailable
from optionstream.schemas.events import TickFrame
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import partition_for
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.kafka.topic_reader import TopicReader
from tests.harness.running import Running, running
from tests.harness.seeded import Sent, open_ms, sent

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

PRODUCT = "NIFTY"
DATE = "2026-01-06"


@pytest.fixture
def world(addresses: Addresses, stack_settings: Settings, tmp_path: Path) -> Iterator[Running]:
    with running(addresses, stack_settings, tmp_path) as made:
        made.wait_for(lambda: has_leaders(made), "leaders of the topics just made", 180)
        yield made


def has_leaders(world: Running) -> bool:
    try:
        input_of(world)
        redrive(world, dry_run=True)
    except ServerUnavailable:
        return False
    return True


def frame(first: int, *prices: float) -> TickFrame:
    """One tick a second, numbered from ``first``."""
    numbers = list(range(first, first + len(prices)))
    stamps = [open_ms(DATE) + 1_000 * at for at in numbers]
    return TickFrame(PRODUCT, "test", DATE, stamps[-1], stamps, list(prices), numbers)


def refusal(number: int, record: Sent, reason: str) -> Reject:
    """A reject as analytics tells it."""
    return Reject(
        reason=reason,
        detail="",
        topic=record.base,
        partition=partition_for(PRODUCT, 6),
        offset=number,
        record_ts=record.timestamp,
        events=1,
        indices=[],
        raw_key=record.key,
        raw=record.value,
        headers=list(record.headers),
    )


def tell(world: Running, told: Sequence[Reject]) -> None:
    world.publish(
        Sent(topics.REJECTS, PRODUCT, one.raw_key, codec.encode(one), codec.headers_for(one), 1)
        for one in told
    )
    world.flush()


def redrive(
    world: Running, ledger: Ledger | None = None, *, normalise: bool = False, dry_run: bool = False
) -> list[str]:
    """The outcomes of one redrive of everything."""
    kafka, name = world.addresses.kafka, world.namespace
    ledger = ledger or Ledger(world.mongo, name)
    with Redrive(kafka, name, ledger, normalise=normalise, dry_run=dry_run) as sending:
        found = sending.send(read_rejects(kafka, name, Choice()))
        return sorted(result.outcome for result in found)


def input_of(world: Running) -> list[RawRecord]:
    with TopicReader(world.addresses.kafka, world.namespace) as reader:
        bounds = reader.bounds(topics.UNDERLYING)
        return [one for batch in reader.read(topics.UNDERLYING, bounds) for one in batch]


def test_a_reject_is_sent_once_however_often_it_is_told_and_redriven(world: Running) -> None:
    told = [refusal(at, sent(frame(at, 100.0)), rejects.BAD_PRICE) for at in range(3)]
    tell(world, [*told, *told])
    assert redrive(world, dry_run=True) == [WOULD_SEND] * 3
    assert input_of(world) == []
    assert redrive(world) == [SENT] * 3
    assert redrive(world) == [ALREADY] * 3
    assert redrive(world, normalise=True, dry_run=True) == [ALREADY] * 3
    there = input_of(world)
    assert [one.value for one in there] == [one.raw for one in told]
    assert [rejects.causes(one.headers or ()) for one in there] == [[one.id] for one in told]
    # Offsets begin again in a topic made anew: the same id, and another record.
    tell(world, [msgspec.structs.replace(told[0], record_ts=told[0].record_ts + 5)])
    assert redrive(world) == [SENT] + [ALREADY] * 3


class Died(BaseException):
    """The process was killed."""


@pytest.mark.parametrize("sent_before_it_died", [0, 2, 4])
def test_a_redrive_that_died_in_the_middle_is_finished_and_repeats_nothing(
    world: Running, monkeypatch: pytest.MonkeyPatch, sent_before_it_died: int
) -> None:
    told = [refusal(at, sent(frame(at, 100.0)), rejects.BAD_PRICE) for at in range(4)]
    tell(world, told)
    handed: list[str] = []
    hand_over = Redrive._hand_over

    def until_it_dies(self: Redrive, record: redriving.Resent, note: object) -> None:
        if len(handed) == sent_before_it_died:
            self._producer.flush(30)  # Kafka has what was sent
            raise Died
        hand_over(self, record, note)
        handed.append("one")

    def marking(*_: object) -> None:
        raise Died

    with monkeypatch.context() as dying:
        dying.setattr(Redrive, "_hand_over", until_it_dies)
        dying.setattr(Ledger, "mark_sent", marking)
        with pytest.raises(Died):
            redrive(world)
    assert len(input_of(world)) == sent_before_it_died
    assert redrive(world) == [IN_DOUBT] * 4  # it may still be at work
    later = Ledger(world.mongo, world.namespace, lambda: utc_now() + timedelta(seconds=LEASE_S))
    expected = [ALREADY] * sent_before_it_died + [SENT] * (4 - sent_before_it_died)
    assert redrive(world, later) == sorted(expected)
    assert [one.value for one in input_of(world)] == [one.raw for one in told]
    assert redrive(world) == [ALREADY] * 4


def test_a_record_too_large_for_its_reject_is_read_where_it_lies(world: Running) -> None:
    large = replace(sent(frame(0, 1.0)), value=b"\xff" * (9 << 20))
    producer = Producer({"bootstrap.servers": world.addresses.kafka, "message.max.bytes": 16 << 20})
    producer.produce(
        world.namespace.topic(topics.UNDERLYING),
        large.value,
        large.key,
        partition_for(PRODUCT, 6),
        timestamp=large.timestamp,
    )
    assert producer.flush(30) == 0
    without = {"raw": None, "raw_key": None, "headers": []}
    lies = msgspec.structs.replace(refusal(0, large, rejects.UNDECODABLE), **without)
    gone = msgspec.structs.replace(lies, offset=5)
    another = msgspec.structs.replace(lies, record_ts=7)
    tell(world, [lies, gone, another])
    assert redrive(world) == sorted([SENT, UNUSABLE, UNUSABLE])
    there = input_of(world)
    assert [one.value for one in there] == [large.value] * 2
    assert (there[1].key, there[1].headers) != (None, None)


def test_refused_again_the_reject_leads_to_the_first_and_mended_it_is_taken(world: Running) -> None:
    astray = replace(sent(frame(0, 100.0, 101.0)), key=b"BANKNIFTY")
    bad = sent(frame(10, 100.0, -1.0, 102.0))
    world.publish([astray, bad, sent(frame(20, 100.0))])
    world.flush()
    world.start("analytics")
    world.wait_until_analysed()

    def listed() -> list[dict[str, object]]:
        done = world.cli("rejects", "list", "--json")
        assert done.code == 0, done.err
        return [json.loads(line) for line in done.out.splitlines()]

    first = {row["reason"]: row for row in listed()}
    assert set(first) == {rejects.KEY_MISMATCH, rejects.BAD_PRICE}
    as_it_was = world.cli("rejects", "redrive", "--all", "--json")
    assert as_it_was.code == 0, as_it_was.err
    world.wait_until_analysed()
    again = [row for row in listed() if row["attempts"]]
    assert {row["reason"] for row in again} == set(first)
    mismatch = next(row for row in again if row["reason"] == rejects.KEY_MISMATCH)
    shown = world.cli("rejects", "show", str(mismatch["id"]), "--json")
    whole = json.loads(shown.out)
    assert [one["id"] for one in whole["causes"]] == [
        first[rejects.KEY_MISMATCH]["id"],
        mismatch["id"],
    ]
    assert whole["causes"][0]["reason"] == rejects.KEY_MISMATCH
    assert whole["record"]["seq"] == [0, 1]

    mended = world.cli("rejects", "redrive", "--reason", "key_mismatch", "--normalise", "--json")
    assert mended.code == 0, mended.err
    outcomes = sorted(json.loads(line)["outcome"] for line in mended.out.splitlines())
    assert outcomes == [SENT, ALREADY]
    world.wait_until_analysed()
    assert len(listed()) == 4
    world.start("history")
    world.start("latest")
    world.wait_until_done()
    report = world.verify()
    # 2 ticks astray mended, 3 good ones; refused: 2 + 2 astray, twice the one bad price.
    assert (report.counts.accepted, report.counts.duplicates) == (5, 0)
    assert world.db[documents.REDRIVES].count_documents({"state": "sent"}) == 3
    unknown = world.cli("rejects", "redrive", "market.underlying|0|999|bad_price")
    assert unknown.code == 1
    assert "no reject market.underlying|0|999|bad_price" in unknown.err
    world.stop()


def test_a_claim_keeps_others_away_until_it_has_run_out(world: Running) -> None:
    moment = datetime(2026, 1, 6, tzinfo=UTC)
    one = refusal(3, sent(frame(3, 1.0)), rejects.BAD_PRICE)

    def at(seconds: float) -> Ledger:
        return Ledger(world.mongo, world.namespace, lambda: moment + timedelta(seconds=seconds))

    first = at(0)
    assert first.claim(one, "t", 1, 10).mine
    assert not at(LEASE_S - 1).claim(one, "t", 1, 20).mine
    heir = at(LEASE_S)
    taken = heir.claim(one, "u", 2, 30)
    assert taken.mine and (taken.topic, taken.partition, taken.look_from) == ("t", 1, 10)
    first.release(one)  # no longer its own
    assert not at(LEASE_S + 1).claim(one, "t", 1, 40).mine
    heir.renew(one, "u", 2, 30)
    assert at(3 * LEASE_S).claim(one, "t", 1, 50).look_from == 30
    heir.mark_sent(one, 31)
    assert not at(9 * LEASE_S).claim(one, "t", 1, 60).mine
