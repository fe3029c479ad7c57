"""Time for live use: events at the pace of their own time, and stamped when they are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from typing import Final

from msgspec.structs import replace

from optionstream.schemas.errors import UsageError
from optionstream.schemas.events import CandleFrame, MarketEvent, OptionQuoteFrame, TickFrame

CLOSED_MS: Final = 30 * 60_000
"""A longer gap in event time counts as closed hours: nobody waits for it."""


def event_time(event: MarketEvent) -> int:
    """When the event is complete, UTC epoch ms: a frame's latest tick or quote, the end of its
    latest candle."""
    if isinstance(event, TickFrame | OptionQuoteFrame):
        return max(event.ts_ms)
    if isinstance(event, CandleFrame):
        return max(event.start_ms) + event.interval_ms
    return event.ts_event


def paced(
    events: Iterable[MarketEvent],
    speed: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[MarketEvent]:
    """Yield each event when its time has come: 1 is real time, 60 a minute in a second.

    ``clock`` is monotonic, in seconds. The first event comes at once. Gaps of more than
    CLOSED_MS are skipped and time that runs backwards waits for nothing. Late events come
    without a pause until the plan is caught up. Raises UsageError for a speed that is not above
    0.
    """
    if not (isfinite(speed) and speed > 0):
        raise UsageError(f"speed {speed}: use a number above 0")
    return _paced(events, speed, clock, sleep)


def stamped(events: Iterable[MarketEvent], now_ms: Callable[[], int]) -> Iterator[MarketEvent]:
    """The events with ``ts_recv`` of now (UTC epoch ms), never before their own time."""
    for event in events:
        yield replace(event, ts_recv=max(now_ms(), event_time(event)))


def _paced(
    events: Iterable[MarketEvent],
    speed: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[MarketEvent]:
    reached: int | None = None
    due = clock()
    for event in events:
        time = event_time(event)
        gap = 0 if reached is None else time - reached
        if 0 < gap <= CLOSED_MS:
            due += gap / 1000.0 / speed
        elif gap > CLOSED_MS:
            due = max(due, clock())
        reached = time if reached is None else max(reached, time)
        wait = due - clock()
        if wait > 0:
            sleep(wait)
        yield event
