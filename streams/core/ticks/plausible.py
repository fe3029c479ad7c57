"""Which ticks must not become "the latest": those that analytics refuses by content.

The rules 1 to 4 for ticks of docs/semantics.md. A tick outside a session passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import isfinite

from optionstream.schemas import rejects
from optionstream.schemas.events import TickFrame
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS
from optionstream.schemas.topics import SIM, Namespace
from optionstream.streams.core.market.calendar import Calendar, always_open_calendar, nse_calendar
from optionstream.streams.core.rules import EARLIEST_MS, LATEST_MS

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Plausibility:
    """The limits of one namespace; ``covered_*`` bound the calendar's years (IST), right-open."""

    covered_from_ms: int
    covered_to_ms: int
    future_limit_ms: int | None

    @classmethod
    def of(cls, namespace: Namespace, future_limit_ms: int) -> Plausibility:
        calendar = always_open_calendar() if namespace.name == SIM else nse_calendar()
        covered = _covered(calendar)
        return cls(*covered, future_limit_ms if namespace.is_live else None)

    def reason(self, ts_ms: int, price: float, ts_recv: int) -> str | None:
        """Why the tick is refused (schemas.rejects), None when it is plausible."""
        if not EARLIEST_MS <= ts_ms < LATEST_MS:
            return rejects.BAD_TIME
        if not (isfinite(price) and price > 0):
            return rejects.BAD_PRICE
        if self.future_limit_ms is not None and ts_ms > ts_recv + self.future_limit_ms:
            return rejects.FUTURE_EVENT
        if not self.covered_from_ms <= ts_ms < self.covered_to_ms:
            return rejects.NO_CALENDAR
        return None

    def all_plausible(self, frame: TickFrame) -> bool:
        """Whether no tick of the frame is refused: a few passes in C instead of one in Python."""
        ts_ms, price = frame.ts_ms, frame.price
        if len(ts_ms) == 1:
            return self.reason(ts_ms[0], price[0], frame.ts_recv) is None
        low, high = min(ts_ms), max(ts_ms)
        return (
            self.reason(low, min(price), frame.ts_recv) is None
            and self.reason(high, max(price), frame.ts_recv) is None
            and isfinite(sum(price))
        )


def _covered(calendar: Calendar) -> tuple[int, int]:
    return _ist_midnight(calendar.first_year), _ist_midnight(calendar.last_year + 1)


def _ist_midnight(year: int) -> int:
    return (date(year, 1, 1).toordinal() - _EPOCH_ORDINAL) * DAY_MS - IST_OFFSET_MS
