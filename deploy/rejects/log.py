"""The rejects of a namespace, read from its topic: each once, however often it was sent."""

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
    """A choice of rejects; None and an empty ``ids`` leave a condition out."""

    ids: frozenset[str] = frozenset()
    reason: str | None = None
    topic: str | None = None
    product: str | None = None

    def includes(self, reject: Reject) -> bool:
        """Return True if the reject meets all conditions."""
        return (
            (not self.ids or reject.id in self.ids)
            and self.reason in (None, reject.reason)
            and self.topic in (None, reject.topic)
            and (self.product is None or self.product == product_of(reject))
        )


def read_rejects(kafka: str, namespace: Namespace, choice: Choice) -> Iterator[Reject]:
    """Yield the chosen rejects that exist now, partition by partition in the order of the log.

    Other records on the topic are skipped. Raises ServerUnavailable.
    """
    seen: set[str] = set()
    with TopicReader(kafka, namespace) as reader:
        for batch in reader.read(topics.REJECTS, reader.bounds(topics.REJECTS)):
            for one in batch:
                try:
                    record = codec.decode(one.value, one.headers)
                except RecordError:
                    continue
                if isinstance(record, Reject) and (name := key_of(record)) not in seen:
                    seen.add(name)
                    if choice.includes(record):
                        yield record


def key_of(reject: Reject) -> str:
    """Return a reject's id with its record's time: offsets restart in a topic created again."""
    return f"{reject.id}@{reject.record_ts}"


def decoded(reject: Reject) -> Record | RecordError:
    """Return the refused record, or the error if it cannot be decoded."""
    try:
        return codec.decode(reject.raw, reject.headers)
    except RecordError as error:
        return error


def product_of(reject: Reject) -> str | None:
    """Return the product of a reject, from its content or else its key; None if unknown."""
    record = decoded(reject)
    if not isinstance(record, RecordError | Reject):
        return record.product
    name = (reject.raw_key or b"").decode("utf-8", "replace").partition(":")[0]
    return name if codec.is_product(name) else None


def chain_of(reject: Reject, known: Sequence[Reject]) -> list[tuple[str, Reject | None]]:
    """Return ids and rejects that led to this one, oldest first, itself last.

    The reject is None if it is not among ``known``.
    """
    by_id = {one.id: one for one in known}
    before = rejects.causes(reject.headers)
    return [*((id_, by_id.get(id_)) for id_ in before), (reject.id, reject)]
