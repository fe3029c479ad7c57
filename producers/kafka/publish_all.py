"""From events to Kafka, with a word on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Protocol

from optionstream.producers.kafka.settings import PublishStats
from optionstream.schemas.events import MarketEvent


class TakesEvents(Protocol):
    """The part of Publisher that ``publish`` needs."""

    @property
    def stats(self) -> PublishStats: ...
    def publish(self, event: MarketEvent) -> None: ...
    def flush(self) -> None: ...


def publish(
    events: Iterable[MarketEvent],
    publisher: TakesEvents,
    on_progress: Callable[[PublishStats], None] | None = None,
) -> PublishStats:
    """Publish every event and wait until all are acknowledged.

    ``on_progress`` is called after each record (the caller slows it down) and once at the end.
    An error in ``events`` comes through after what went before it was acknowledged.
    """
    tell = on_progress or _tell_nobody
    try:
        for event in events:
            publisher.publish(event)
            tell(publisher.stats)
    finally:
        publisher.flush()
    tell(publisher.stats)
    return publisher.stats


def only_products(
    events: Iterable[MarketEvent], products: Collection[str]
) -> Iterator[MarketEvent]:
    """The events of some products."""
    return (event for event in events if event.product in products)


def _tell_nobody(stats: PublishStats) -> None:
    """Progress that nobody asked for."""
