"""Redrive: send refused records again, each reject once (see ``ledger``)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from msgspec.structs import replace

from optionstream.deploy.groups.lag import GroupOffsets, Offsets
from optionstream.deploy.rejects.ledger import LEASE_S, SENDING, Claim, Ledger
from optionstream.deploy.rejects.log import key_of
from optionstream.deploy.rejects.resend import Resent, resent
from optionstream.schemas import rejects, topics
from optionstream.schemas.connections import NO_LOG, producer_options
from optionstream.schemas.derived import Reject
from optionstream.schemas.errors import DeliveryError, RecordError
from optionstream.schemas.times import IST
from optionstream.schemas.topics import MAX_RECORD_BYTES, Namespace
from optionstream.streams.kafka.admin import admin_client, partition_counts
from optionstream.streams.kafka.answers import delivery_error
from optionstream.streams.kafka.topic_reader import TopicReader

_DELIVERY_S = 20.0
"""After this time Kafka has a record, or the client has given it up and it never arrives."""
_MAX_CLAIMING_S = LEASE_S - 2 * _DELIVERY_S
_BATCH_RECORDS = 500
_BATCH_BYTES = 16 << 20

SENT = "sent"
WOULD_SEND = "would be sent"
ALREADY = "sent before"
IN_DOUBT = "being sent"
UNUSABLE = "cannot be sent"


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome for one reject; ``detail`` has the place it went to, or the reason."""

    reject: Reject
    outcome: str
    detail: str


class Redrive:
    """Sends the records of rejects again; a context manager. ``ledger`` is the namespace's."""

    def __init__(
        self, kafka: str, namespace: Namespace, ledger: Ledger, *, normalise: bool, dry_run: bool
    ) -> None:
        self._namespace = namespace
        self._ledger = ledger
        self._normalise = normalise
        self._dry_run = dry_run
        self._offsets = GroupOffsets(kafka, namespace)
        self._reader = TopicReader(kafka, namespace)
        counts = partition_counts(admin_client(kafka))
        self._partitions = counts[namespace.topic(topics.UNDERLYING)]
        self._producer = Producer(
            producer_options(
                kafka,
                {
                    "delivery.timeout.ms": int(_DELIVERY_S * 1000),
                    "message.max.bytes": MAX_RECORD_BYTES,
                    "compression.type": "lz4",
                    **NO_LOG,
                },
            )
        )

    def __enter__(self) -> Redrive:
        self._reader.__enter__()
        return self

    def __exit__(self, *_: Any) -> None:
        self._reader.__exit__(None, None, None)

    def send(self, chosen: Iterable[Reject]) -> Iterator[Result]:
        """Yield a result for each reject as soon as it is known.

        Raises DeliveryError when Kafka does not take a record; records sent until then are not
        sent again.
        """
        for batch in _batches(chosen):
            ready = []
            for reject in batch:
                try:
                    ready.append((reject, self._resent(reject)))
                except RecordError as error:
                    yield Result(reject, UNUSABLE, str(error))
            yield from self._dry(ready) if self._dry_run else self._send_batch(ready)

    def _resent(self, reject: Reject) -> Resent:
        return resent(self._with_bytes(reject), self._partitions, normalise=self._normalise)

    def _with_bytes(self, reject: Reject) -> Reject:
        """Return the reject with its record's bytes; large ones are read from their topic."""
        if reject.raw is not None or reject.raw_key is not None or reject.headers:
            return reject
        low, high = self._reader.bounds(reject.topic).get(reject.partition, (0, 0))
        span = {reject.partition: (reject.offset, reject.offset + 1)}
        if low <= reject.offset < high:
            for batch in self._reader.read(reject.topic, span):
                for one in batch:
                    if one.timestamp == reject.record_ts:
                        headers = [(name, value or b"") for name, value in one.headers or ()]
                        return replace(reject, raw=one.value, raw_key=one.key, headers=headers)
        raise RecordError(reject.reason, "the reject has no bytes, and its record no longer exists")

    def _dry(self, ready: list[tuple[Reject, Resent]]) -> Iterator[Result]:
        known = self._ledger.claims([reject for reject, _ in ready])
        for reject, record in ready:
            claim = known.get(key_of(reject))
            yield _not_mine(reject, claim) if claim else Result(reject, WOULD_SEND, _place(record))

    def _send_batch(self, ready: list[tuple[Reject, Resent]]) -> Iterator[Result]:
        if not ready:
            return
        ends = self._offsets.ends(tuple({record.topic for _, record in ready}))
        claimed_s = time.monotonic()
        mine: list[tuple[Reject, Resent]] = []
        for reject, record in ready:
            if (result := self._claim(reject, record, ends)) is None:
                mine.append((reject, record))
            else:
                yield result
        if time.monotonic() - claimed_s > _MAX_CLAIMING_S:
            for reject, _ in mine:
                self._ledger.release(reject)
            raise DeliveryError("claiming took too long, nothing was sent: run it again")
        yield from self._produce(mine)

    def _claim(self, reject: Reject, record: Resent, ends: Offsets) -> Result | None:
        """Claim a reject; return None if its record is to be sent now, else the result."""
        end = ends[self._namespace.topic(record.topic), record.partition]
        claim = self._ledger.claim(reject, record.topic, record.partition, end)
        if not claim.mine:
            return _not_mine(reject, claim)
        if claim.look_from is not None:
            there = self._find(reject, claim, claim.look_from)
            if there is not None:
                self._ledger.mark_sent(reject, there)
                return Result(reject, ALREADY, "by a redrive that was interrupted")
            self._ledger.renew(reject, record.topic, record.partition, end)
        return None

    def _find(self, reject: Reject, claim: Claim, first: int) -> int | None:
        """Return the offset of the reject's record if a redrive that died has sent it."""
        low, high = self._reader.bounds(claim.topic).get(claim.partition, (0, 0))
        span = {claim.partition: (max(low, first), high)}
        found = None
        for batch in self._reader.read(claim.topic, span):
            for one in batch:
                if rejects.causes(one.headers or ())[-1:] == [reject.id]:
                    found = one.offset
        return found

    def _produce(self, mine: list[tuple[Reject, Resent]]) -> Iterator[Result]:
        offsets: dict[int, int] = {}
        failures: list[str] = []

        def note(at: int, error: KafkaError | None, message: Message | None) -> None:
            if failed := delivery_error(error, message):
                failures.append(f"{mine[at][0].id}: {failed.str()}")
            elif message is not None:
                offsets[at] = message.offset() or 0

        for at, (_, record) in enumerate(mine):
            self._hand_over(record, partial(note, at))
        self._producer.flush(_DELIVERY_S + 5.0)
        for at, (reject, record) in enumerate(mine):
            if at in offsets:
                self._ledger.mark_sent(reject, offsets[at])
                yield Result(reject, SENT, f"{_place(record)}/{offsets[at]}")
        if len(offsets) < len(mine):
            why = failures[0] if failures else "not acknowledged in time"
            left = len(mine) - len(offsets)
            raise DeliveryError(f"Kafka did not take {left} records: {why}")

    def _hand_over(self, record: Resent, note: Any) -> None:
        try:
            self._producer.produce(
                self._namespace.topic(record.topic),
                value=record.value,
                key=record.key,
                partition=record.partition,
                headers=list(record.headers),
                timestamp=record.timestamp,
                on_delivery=note,
            )
        except KafkaException as error:
            note(error.args[0], None)
        self._producer.poll(0)


def _not_mine(reject: Reject, claim: Claim) -> Result:
    at = claim.at.astimezone(IST).isoformat(timespec="seconds")
    if claim.state == SENDING:
        return Result(reject, IN_DOUBT, f"by another redrive, or one that died: again after {at}")
    return Result(reject, ALREADY, f"at {at}")


def _place(record: Resent) -> str:
    return f"{record.topic}/{record.partition}"


def _batches(chosen: Iterable[Reject]) -> Iterator[list[Reject]]:
    batch: list[Reject] = []
    size = 0
    for reject in chosen:
        batch.append(reject)
        size += len(reject.raw or b"")
        if len(batch) >= _BATCH_RECORDS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
