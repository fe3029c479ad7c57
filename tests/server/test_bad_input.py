"""Bad input among good: a reject or a clear error for each, and every good record processed."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from optionstream.deploy.stack import Addresses
from optionstream.schemas import codec, documents, rejects, topics
from optionstream.schemas.derived import ChainAnalytics, Reject
from optionstream.schemas.events import ChainSnapshot, TickFrame
from optionstream.schemas.identity import snapshot_id
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import partition_for
from tests.harness.feed_files import body, leg, row, tick_lines, written
from tests.harness.running import Running, running
from tests.harness.seeded import Sent, chain, messy_input, no_legs, open_ms, sent
from tests.harness.seeds import new_seed

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

PRODUCT = "NIFTY"
DATE = "2026-01-06"
FAR_MS = 4_070_908_800_000
"""2099-01-01."""
MINUTE_MS = 60_000

Headers = Sequence[tuple[str, bytes]]
Bad = tuple[str, Sent]
"""Why a record is refused, and the record."""


@pytest.fixture
def world(addresses: Addresses, stack_settings: Settings, tmp_path: Path) -> Iterator[Running]:
    with running(addresses, stack_settings, tmp_path) as made:
        yield made


def frame(**changes: Any) -> TickFrame:
    stamps = [open_ms(DATE) + 1_000 * at for at in range(3)]
    good = TickFrame(PRODUCT, "bad", DATE, stamps[-1], stamps, [100.0, 101.0, 102.0], [1, 2, 3])
    return msgspec.structs.replace(good, **changes)


def snapshot(rng: random.Random, minute: int, **changes: Any) -> ChainSnapshot:
    made = chain(rng, PRODUCT, "2026-01-13", open_ms(DATE) + minute * MINUTE_MS, DATE)
    return msgspec.structs.replace(made, **changes)


def raw(base: str, value: bytes | None, headers: Headers) -> Sent:
    key = b"NIFTY" if base == topics.UNDERLYING else b"NIFTY:2026-01-13"
    return Sent(base, PRODUCT, key, value, headers, open_ms(DATE))


def header(schema: str) -> list[tuple[str, bytes]]:
    return [(codec.HEADER, schema.encode())]


def random_bytes(rng: random.Random) -> list[Bad]:
    """On every input topic, with no header, a known one and an unknown version."""
    made = []
    for base, known in (
        (topics.UNDERLYING, "tick_frame:1"),
        (topics.OPTION_CHAIN, "chain_snapshot:1"),
        (topics.OPTION_QUOTE, "option_quote_frame:1"),
    ):
        for size in (1, 40, 5_000):
            value = b"\xff" + rng.randbytes(size)
            made += [
                (rejects.UNDECODABLE, raw(base, value, [])),
                (rejects.UNDECODABLE, raw(base, value, header(known))),
                (rejects.UNKNOWN_SCHEMA, raw(base, value, header(known.replace(":1", ":9")))),
            ]
        made += [
            (rejects.UNDECODABLE, raw(base, b"", [])),
            (rejects.UNDECODABLE, raw(base, None, header(known))),
            (rejects.UNKNOWN_SCHEMA, raw(base, value, [(codec.HEADER, rng.randbytes(9))])),
        ]
    return made


def refused_records(world: Running, rng: random.Random) -> list[Bad]:
    """One of each kind that is refused as a whole."""
    good, shot = sent(frame()), sent(snapshot(rng, 1))
    encoded = json.loads(good.value or b"")
    elsewhere = (partition_for(PRODUCT, world.settings.partitions) + 1) % world.settings.partitions
    none, bare = no_legs(len(snapshot(rng, 1).strikes)), no_legs(0)
    typed = {**encoded, "price": ["high", "low", "close"]}
    return [
        *random_bytes(rng),
        (rejects.UNKNOWN_SCHEMA, replace(good, headers=header("tick_frame:2"))),
        (rejects.INVALID, replace(good, value=json.dumps(typed).encode())),
        (rejects.INVALID, replace(good, value=json.dumps({**encoded, "ts_ms": None}).encode())),
        (rejects.INVALID, raw(topics.UNDERLYING, b'{"product": 5}', [])),
        (rejects.INVALID, raw(topics.OPTION_CHAIN, b"[1, 2]", header("chain_snapshot:1"))),
        (rejects.INVALID, sent(frame(price=[100.0]))),
        (rejects.INVALID, sent(snapshot(rng, 1, strikes=[3.0, 2.0, 1.0]))),
        (rejects.WRONG_TOPIC, replace(shot, base=topics.UNDERLYING)),
        (rejects.WRONG_TOPIC, replace(good, base=topics.OPTION_CHAIN)),
        (rejects.KEY_MISMATCH, replace(good, key=b"BANKNIFTY")),
        (rejects.KEY_MISMATCH, replace(good, key=None)),
        (rejects.KEY_MISMATCH, replace(shot, key=b"NIFTY")),
        (rejects.FOREIGN_PARTITION, replace(good, partition=elsewhere)),
        (rejects.FOREIGN_PARTITION, replace(shot, partition=elsewhere)),
        (
            rejects.EMPTY_CHAIN,
            sent(snapshot(rng, 1, strikes=[], calls=bare, puts=bare)),
        ),
        (rejects.EMPTY_CHAIN, sent(snapshot(rng, 1, calls=none, puts=none))),
        (rejects.NO_CALENDAR, sent(snapshot(rng, 1, ts_event=FAR_MS))),
    ]


def test_bad_records_are_rejected_with_their_bytes_and_the_good_around_them_processed(
    world: Running,
) -> None:
    rng = random.Random(new_seed())
    good = messy_input(rng.randrange(1 << 30), ticks=4_000, chains=80)
    far = (rejects.NO_CALENDAR, sent(frame(ts_ms=[FAR_MS], price=[1.0], seq=[900_001])))
    bad = [*refused_records(world, rng), far]
    callless = snapshot(rng, 2, calls=no_legs(len(snapshot(rng, 2).strikes)))
    places: dict[tuple[str, int, int], Bad] = {}

    def sprinkle() -> None:
        step = len(good) // (len(bad) + 1)
        for number, (reason, record) in enumerate(bad):

            def note(error: Any, message: Any, bad: Bad = (reason, record)) -> None:
                assert error is None
                places[bad[1].base, message.partition(), message.offset()] = bad

            world.publish(good[number * step : (number + 1) * step])
            world.publish([record], note)
        world.publish([*good[len(bad) * step :], sent(callless)])
        world.flush()

    sprinkle()
    assert len(places) == len(bad)
    world.start_all()
    world.wait_until_done()
    report = world.verify()

    whole = sum(len(frame().ts_ms) if _counts_ticks(one) else 1 for one in bad)
    assert report.counts.source == sum(record.events for record in good) + whole + 1
    told = {(r.topic, r.partition, r.offset): r for r in read_rejects(world)}
    stored = {
        (row["topic"], row["partition"], row["offset"]): row
        for row in world.db[documents.REJECTS].find()
    }
    for place, (reason, record) in places.items():
        there, row_there = told[place], stored[place]
        assert (there.reason, there.raw, there.raw_key) == (reason, record.value, record.key)
        assert (row_there["reason"], row_there["raw"]) == (reason, record.value)
        assert row_there["raw_key"] == record.key
        assert [(name, value) for name, value in row_there["headers"]] == list(record.headers)

    identity = snapshot_id(callless)
    (without_calls,) = [one for one in read_chains(world) if one.snapshot_id == identity]
    assert without_calls.ts_event == callless.ts_event
    for figure in ("pcr_oi", "pcr_volume", "max_pain"):
        assert getattr(without_calls, figure) is None
        assert without_calls.null_reasons[figure] == "no_calls"
    world.stop()


def _counts_ticks(bad: Bad) -> bool:
    """Frames count their ticks by rules 3 to 5 (docs/semantics.md)."""
    reason, record = bad
    return record.base == topics.UNDERLYING and (
        reason in (rejects.KEY_MISMATCH, rejects.FOREIGN_PARTITION)
        or record.value == sent(frame(price=[100.0])).value
    )


def read_rejects(world: Running) -> list[Reject]:
    return [one for one in _read(world, topics.REJECTS) if isinstance(one, Reject)]


def read_chains(world: Running) -> list[ChainAnalytics]:
    return [one for one in _read(world, topics.CHAIN) if isinstance(one, ChainAnalytics)]


def _read(world: Running, base: str) -> list[codec.Record]:
    """All records of an output topic."""
    ends = {place: end for place, end in world.offsets.ends([base]).items() if end}
    consumer = Consumer({"bootstrap.servers": world.addresses.kafka, "group.id": "reads-all"})
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in ends])
        found: list[codec.Record] = []
        while len(found) < sum(ends.values()):
            message = consumer.poll(30)
            assert message is not None and message.error() is None
            found.append(codec.decode(message.value(), message.headers()))  # type: ignore[arg-type]
        return found
    finally:
        consumer.close()


def test_each_bad_file_of_a_replay_is_told_in_one_line_and_the_good_ones_replayed(
    world: Running, tmp_path: Path
) -> None:
    folder = tmp_path / "nifty"
    folder.mkdir()
    whole = json.dumps(body([row(26_000), row(26_050)])).encode()
    later = json.dumps(body([row(26_000, CE=leg())], timestamp="06-Jan-2026 10:32:07")).encode()
    ticks = tick_lines((f"{DATE} 10:{minute:02}:00", 26_000.0 + minute) for minute in range(30))
    written(folder / "01-good.json", whole)
    bad = [
        written(folder / "02-empty.csv", b""),
        written(folder / "03-page.csv", "<!DOCTYPE html><html><body>busy</body></html>\n"),
        written(folder / "04-cut.json", whole[: len(whole) // 2]),
        written(folder / "05-cut.json.gz", gzip.compress(whole)[:-20]),
        written(folder / "06-cut.csv.gz", gzip.compress(ticks.encode())[:-20]),
        written(folder / "07-types.json", whole.replace(b"26000,", b'"high",', 1)),
        written(folder / "08-other.json", b'{"some": "other JSON"}'),
        written(folder / "09-noise.csv", b"\xff\xfe\x00noise" * 50),
    ]
    written(folder / "10-good.csv", ticks)
    written(folder / "11-good.json.gz", gzip.compress(later))

    argv = [sys.executable, "-m", "optionstream", "replay", str(folder), "--json"]
    argv += ["--namespace", world.namespace.name]
    ran = subprocess.run(argv, env=world.env, capture_output=True, text=True, check=False)
    assert ran.returncode == 2, ran.stderr
    lines = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    for path in bad:
        assert sum(str(path) in line for line in lines) == 1, f"{path}\n{ran.stderr}"
    assert len(lines) == len(bad), ran.stderr

    outcome = json.loads(ran.stdout)
    assert (outcome["chains"], outcome["ticks"]) == (2, 30)
    assert outcome["accepted"] == 32
    report = world.verify()
    assert report.checked["mongo_chains"] == 2
    assert report.checked["mongo_ticks"] == 30
