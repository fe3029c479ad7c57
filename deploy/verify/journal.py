"""What one product's windows are made of: accepted ticks and heartbeats, in the order applied."""

from __future__ import annotations

from array import array

from optionstream.streams.core.calendar import Session

_LEAST, _GREATEST = -(1 << 63), (1 << 63) - 1


class Journal:
    """Columns of accepted ticks, marks of heartbeats and the sessions in turn.

    ``at`` numbers everything that happened to the product; it rises by one each time.
    """

    def __init__(self) -> None:
        self.at = 0
        self.tick_at = array("q")
        self.tick_session = array("q")
        self.ts = array("q")
        self.order = array("q")
        self.price = array("d")
        self.volume = array("q")
        self.has_volume = array("b")
        self.mark_at = array("q")
        self.mark_ts = array("q")
        self.sessions: list[Session] = []
        self.session_closed_at: list[int | None] = []

    def begin(self, session: Session) -> None:
        """Close the session that runs, if any, and start the next."""
        self.at += 1
        if self.sessions:
            self.session_closed_at[-1] = self.at
        self.sessions.append(session)
        self.session_closed_at.append(None)

    def tick(self, ts_ms: int, price: float, order: int, volume: int | None) -> None:
        """One tick of the session that runs."""
        self.at += 1
        self.tick_at.append(self.at)
        self.tick_session.append(len(self.sessions) - 1)
        self.ts.append(ts_ms)
        self.price.append(price)
        self.order.append(in_64_bits(order))
        self.volume.append(0 if volume is None else in_64_bits(volume))
        self.has_volume.append(volume is not None)

    def ticks(
        self, ts_ms: list[int], price: list[float], order: list[int], volume: list[int | None]
    ) -> None:
        """Ticks of the session that runs, one after the other."""
        count = len(ts_ms)
        self.tick_at.extend(range(self.at + 1, self.at + 1 + count))
        self.at += count
        self.tick_session.extend([len(self.sessions) - 1] * count)
        self.ts.extend(ts_ms)
        self.price.extend(price)
        self.order.extend(all_in_64_bits(order))
        self.volume.extend(all_in_64_bits([traded or 0 for traded in volume]))
        self.has_volume.extend([traded is not None for traded in volume])

    def mark(self, ts_ms: int) -> None:
        """Time has come to ``ts_ms`` without a tick."""
        self.at += 1
        self.mark_at.append(self.at)
        self.mark_ts.append(ts_ms)


def in_64_bits(number: int) -> int:
    """The number, or the nearest that fits a signed 64-bit column."""
    return min(max(number, _LEAST), _GREATEST)


def all_in_64_bits(numbers: list[int]) -> list[int]:
    """`in_64_bits` of each; the same list where that changes nothing."""
    if min(numbers) >= _LEAST and max(numbers) <= _GREATEST:
        return numbers
    return [in_64_bits(number) for number in numbers]
