"""A day of ticks, and the ticks that go on coming after it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from threading import Event

from optionstream.deploy.stack import Addresses
from optionstream.schemas.events import Tick
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import UNDERLYING, Namespace
from tests.bench.inputs import FIRST_DAY, PRODUCTS, SESSION_MS, input_producer, publish, records_of
from tests.bench.live import Sent, send, sent_record

FRAME_TICKS = 1_000
BEAT_S = 0.01
"""A tick goes out so often, of each product in turn."""
_LEFT_MS = 1_800_000
"""Of the session, for the ticks that come afterwards; event time passes as the clock."""
_PRICE = 20_000.0


def publish_day(kafka: str, namespace: Namespace, settings: Settings, ticks: int) -> int:
    """The day up to its last half hour, in frames; returns the number of records."""
    records = records_of(ticks, FRAME_TICKS, span_ms=SESSION_MS - _LEFT_MS)
    return publish(input_producer(kafka), namespace, settings, records)


@contextmanager
def trickling(
    addresses: Addresses, namespace: Namespace, settings: Settings, ticks: int
) -> Iterator[None]:
    """One tick a beat behind a day of ``ticks``, until the block ends; raises what kept the sender
    from sending."""
    ending = Event()

    def feed() -> Iterator[list[Sent]]:
        for tick in ticks_after(ticks):
            if ending.is_set():
                return
            yield [sent_record(UNDERLYING, tick)]

    producer = input_producer(addresses.kafka, **{"linger.ms": "0"})
    with ThreadPoolExecutor(1) as pool:
        sender = pool.submit(send, producer, namespace, settings, feed(), BEAT_S)
        try:
            yield
        finally:
            ending.set()
        sender.result(60)


def ticks_after(ticks: int) -> Iterator[Tick]:
    """What follows a day of ``ticks``: the products' numbers go on, and so does the session, to
    its end."""
    each, first_ms = ticks // len(PRODUCTS), FIRST_DAY.open_ms + SESSION_MS - _LEFT_MS
    for number in count():
        at = first_ms + round(number * BEAT_S * 1_000)
        if at >= FIRST_DAY.open_ms + SESSION_MS:
            return
        turn, product = divmod(number, len(PRODUCTS))
        yield Tick(
            product=PRODUCTS[product],
            ts_ms=at,
            price=_PRICE,
            volume=10 * (each + turn + 1),
            seq=each + turn + 1,
            source="bench",
            session=FIRST_DAY.date,
            ts_recv=at,
        )
