"""The rejects of a namespace, read from its topic: each once, however often it was told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from optionstream.schemas import codec, rejects, topics
from optionstream.schemas.codec import Record
from optionstream.schemas.derived import Reject
from optionstream.schemas.errors import RecordError
from optionstream.schemas.topics import Namespace
from optionstream.streams.kafka.topic_reader import TopicReader


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rejects; None and an empty ``ids`` leave a condition out."""

    ids: frozenset[str] = frozenset()
    reason: str | None = None
    topic: str | None = None
    product: str | None = None

    def takes(self, reject: Reject) -> bool:
        return (
            (not self.ids or reject.id in self.ids)
            and self.reason in (None, reject.reason)
            and self.topic in (None, reject.topic)
            and (self.product is None or self.product == product_of(reject))
        )


def read_rejects(kafka: str, namespace: Namespace, choice: Choice) -> Iterator[Reject]:
    """The chosen rejects that are there now, partition by partition in the order of the log.

    Raises ServerUnavailable. What is no reject on the topic is passed over.
    """
    told: set[str] = set()
    with TopicReader(kafka, namespace) as reader:
        for batch in reader.read(topics.REJECTS, reader.bounds(topics.REJECTS)):
            for one in batch:
                try:
                    record = codec.decode(one.value, one.headers)
                except RecordError:
                    continue
                if isinstance(record, Reject) and (name := key_of(record)) not in told:
                    told.add(name)
                    if choice.takes(record):
                        yield record


def key_of(reject: Reject) -> str:
    """A reject's id with its record's time: offsets begin again in a topic made anew."""
    return f"{reject.id}@{reject.record_ts}"


def decoded(reject: Reject) -> Record | RecordError:
    """The refused record, or why it cannot be read."""
    try:
        return codec.decode(reject.raw, reject.headers)
    except RecordError as error:
        return error


def product_of(reject: Reject) -> str | None:
    """Whose record it was, by its content or else by its key."""
    record = decoded(reject)
    if not isinstance(record, RecordError | Reject):
        return record.product
    name = (reject.raw_key or b"").decode("utf-8", "replace").partition(":")[0]
    return name if codec.is_product(name) else None


def chain_of(reject: Reject, known: Sequence[Reject]) -> list[tuple[str, Reject | None]]:
    """The rejects that led to this one, the first first, itself last; None for one that the topic
    no longer has."""
    by_id = {one.id: one for one in known}
    before = rejects.causes(reject.headers)
    return [*((id_, by_id.get(id_)) for id_ in before), (reject.id, reject)]
