"""The check that every event passes before it leaves a feed."""

from __future__ import annotations

from typing import TypeVar

from optionstream.schemas.checks import check_candles, check_chain, check_frame, check_quotes
from optionstream.schemas.events import (
    CandleFrame,
    ChainSnapshot,
    MarketEvent,
    OptionQuoteFrame,
    TickFrame,
)

Event = TypeVar("Event", bound=MarketEvent)


def check_event(event: Event) -> Event:
    """The same event. Raises RecordError when a frame or a chain breaks its rules."""
    if isinstance(event, TickFrame):
        check_frame(event)
    elif isinstance(event, CandleFrame):
        check_candles(event)
    elif isinstance(event, OptionQuoteFrame):
        check_quotes(event)
    elif isinstance(event, ChainSnapshot):
        check_chain(event)
    return event
