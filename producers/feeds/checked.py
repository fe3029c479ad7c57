"""The check that every event passes before it leaves a feed."""

from __future__ import annotations

from typing import TypeVar

from optionstream.schemas.checks import check_chain, check_frame
from optionstream.schemas.events import ChainSnapshot, MarketEvent, TickFrame

Event = TypeVar("Event", bound=MarketEvent)


def check_event(event: Event) -> Event:
    """The same event. Raises RecordError when a frame or a chain breaks its rules."""
    if isinstance(event, TickFrame):
        check_frame(event)
    elif isinstance(event, ChainSnapshot):
        check_chain(event)
    return event
