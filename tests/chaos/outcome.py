"""What a replay under faults has come to, beside the batch computation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from optionstream.producers.feeds.audit import archived_records
from optionstream.schemas.topics import MARKET_TOPICS, Namespace
from optionstream.streams.kafka.topic_reader import TopicReader
from optionstream.streams.sinks.audit.check import verify_archive
from optionstream.streams.verify.report import MISSING, SURPLUS, Report
from tests.harness.archived import Place, archive, in_kafka
from tests.harness.running import Running
from tests.harness.seeded import Sent


@dataclass(frozen=True, slots=True)
class Outcome:
    """One replay. ``records`` and ``events`` are what the topics hold, so that what a producer
    sent twice counts twice; ``lost`` what was sent and is in no topic, or should follow from the
    topics and is nowhere; ``repeated`` what is there and follows from nothing; ``wrong`` all else
    that differs. ``surplus`` are stored rows no reader sees."""

    number: int
    faults: int
    revived: int
    records: int
    events: int
    accepted: int
    duplicates: int
    rejects: int
    lost: int
    repeated: int
    wrong: int
    surplus: int
    seconds: float
    differences: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not (self.lost or self.repeated or self.wrong)


@dataclass(frozen=True, slots=True)
class Archived:
    """Records of the input topics that the archive lacks, has twice or has otherwise; a broken
    chain is a wrong one."""

    lost: int
    repeated: int
    wrong: int


def archived(world: Running) -> Archived:
    """The audit archive beside the input topics."""
    kafka, found = in_kafka(world), Counter[Place]()
    wrong = int(not verify_archive(archive(world), None).ok)
    for one in archived_records(archive(world)):
        place = one.topic, one.partition, one.offset
        found[place] += 1
        wrong += kafka.get(place) != (one.timestamp, one.key, one.headers, one.value)
    return Archived(len(kafka.keys() - found.keys()), found.total() - len(found), wrong)


def outcome(
    number: int,
    faults: int,
    revived: int,
    report: Report,
    records: int,
    unsent: int,
    seconds: float,
    kept: Archived,
) -> Outcome:
    """From the report of ``verify``, the input that is in no topic, and the archive."""
    totals = report.difference_totals
    missing = _of_kind(totals, MISSING)
    surplus = _of_kind(totals, SURPLUS)
    counts = report.counts
    return Outcome(
        number=number,
        faults=faults,
        revived=revived,
        records=records,
        events=counts.source,
        accepted=counts.accepted,
        duplicates=counts.duplicates,
        rejects=sum(counts.rejects.values()),
        lost=missing + unsent + kept.lost,
        repeated=surplus + kept.repeated,
        wrong=sum(totals.values()) - missing - surplus + kept.wrong,
        surplus=report.surplus_raw_ticks,
        seconds=seconds,
        differences=tuple(map(str, report.differences[:10])),
    )


def _of_kind(totals: dict[str, int], kind: str) -> int:
    return sum(count for name, count in totals.items() if name.endswith(f": {kind}"))


def not_in_topics(kafka: str, namespace: Namespace, records: Sequence[Sent]) -> tuple[int, int]:
    """(how many records the input topics hold, how many of ``records`` are not among them)."""
    held, count = set(), 0
    with TopicReader(kafka, namespace) as reader:
        for topic in MARKET_TOPICS:
            for batch in reader.read(topic, reader.bounds(topic)):
                count += len(batch)
                held |= {_digest(topic, one.key, one.value) for one in batch}
    wanted = {_digest(one.base, one.key, one.value) for one in records}
    return count, len(wanted - held)


def _digest(topic: str, key: bytes | None, value: bytes | None) -> bytes:
    return blake2b(b"|".join((topic.encode(), key or b"", value or b"")), digest_size=16).digest()
