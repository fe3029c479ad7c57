"""Trading calendar: sessions and pre-opens by segment and IST date.

The facts are rows of ``data/nse_calendar.toml``, each with its source; the rules are here:

1. A special date (Muhurat, weekend session, split day) has exactly the sessions its row lists.
2. Else a weekday that is not a listed closure has one session, by the hours in force that day.
3. Else the date has none.
4. A date with a session has the segment's pre-open; a special date the one its row lists, if the
   segment had any at the time. A date without a session has none.

Instants are UTC epoch milliseconds, dates are IST dates. A session is half-open: an instant equal
to its close is outside. A year outside the table raises `CalendarError`: an unknown day does not
count as an ordinary weekday.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import cache
from importlib import resources
from typing import Any, Final, Literal

from optionstream.schemas.errors import CalendarError
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS
from optionstream.schemas.topics import SIM, Namespace
from optionstream.streams.core.market.contract_facts import contract_facts

CASH: Final = "cash"
FNO: Final = "fno"
SEGMENTS: Final = (CASH, FNO)

Phase = Literal["pre_open", "session", "after_close", "closed"]
"""Phase of a segment at an instant. ``after_close``: after the last session of the date, to
midnight. ``closed``: all else without a session, the pause of a split day too."""

_MINUTE_MS = 60_000
_DAY_MINUTES = 24 * 60
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_EVERY_DAY = frozenset(range(7))
_MONDAY_TO_FRIDAY = frozenset(range(5))


@dataclass(frozen=True, slots=True)
class Session:
    """One stretch of trading, right-open: ``open_ms <= instant < close_ms``."""

    date: str
    """The IST date, ISO form."""
    open_ms: int
    close_ms: int
    index: int = 0
    """Position within the day: 0, and 1 for the second session of a split day."""

    @property
    def key(self) -> str:
        """``2024-03-02`` for the first session of a date, ``2024-03-02#1`` for the second."""
        return f"{self.date}#{self.index}" if self.index else self.date


@dataclass(frozen=True, slots=True)
class Span:
    """Opening and closing time of a session or a pre-open in minutes after midnight IST."""

    open: int
    close: int

    def __post_init__(self) -> None:
        if not 0 <= self.open < self.close <= _DAY_MINUTES:
            raise CalendarError(f"a session cannot run from minute {self.open} to {self.close}")


@dataclass(frozen=True, slots=True)
class Hours:
    """Regular session, or pre-open, of one segment from ``start`` until its next row."""

    segment: str
    start: date
    span: Span


@dataclass(frozen=True, slots=True)
class ProductInfo:
    """The strike grid of one index's options."""

    product: str
    strike_step: int
    """Distance of neighbouring strikes near the money, index points."""
    chain_width: int
    """Strikes of a chain around the money, the one at the money included."""


class Calendar:
    """Sessions of every segment for the years ``first_year`` to ``last_year``, both included.

    Immutable in what it answers; answers are kept by segment and IST day, so that a look-up for a
    tick is one division and one dictionary access.
    """

    def __init__(
        self,
        name: str,
        *,
        first_year: int,
        last_year: int,
        hours: Iterable[Hours],
        weekdays: frozenset[int] = _MONDAY_TO_FRIDAY,
        closures: Mapping[date, str] | None = None,
        special: Mapping[tuple[str, date], tuple[Span, ...]] | None = None,
        unscheduled: Mapping[date, str] | None = None,
        pre_open: Iterable[Hours] = (),
        special_pre_open: Mapping[date, tuple[Span, ...]] | None = None,
        holiday_sessions: Iterable[date] = (),
    ) -> None:
        self.name = name
        self.first_year = first_year
        self.last_year = last_year
        self.closures = dict(closures or {})
        """Weekdays without a session, and the reason."""
        self.unscheduled = dict(unscheduled or {})
        """Dates with a session whose hours the table lacks; they count as closed."""
        self.holiday_sessions = frozenset(holiday_sessions)
        """Dates that are holidays but for a short session (Muhurat)."""
        self._weekdays = weekdays
        self._special = dict(special or {})
        self._special_pre_open = dict(special_pre_open or {})
        self._hours = _newest_first(hours)
        self._pre_open = _newest_first(pre_open)
        self._by_day: dict[tuple[str, int], tuple[Session, ...]] = {}
        self._phases: dict[tuple[str, int], tuple[tuple[int, int, Phase], ...]] = {}
        self._from_ms = _midnight_ms(date(first_year, 1, 1))
        self._to_ms = _midnight_ms(date(last_year + 1, 1, 1))

    def __repr__(self) -> str:
        return f"Calendar({self.name!r}, {self.first_year}-{self.last_year})"

    def covers(self, ts_ms: int) -> bool:
        """True if the instant (UTC epoch ms) is in a year (IST) of the table."""
        return self._from_ms <= ts_ms < self._to_ms

    def sessions_for(self, segment: str, date: date) -> tuple[Session, ...]:
        """Return the sessions of an IST date in order; ``()`` if the market is closed that day.

        Raises `CalendarError` for a year outside the table and for an unknown segment.
        """
        return self.sessions_on(segment, date.toordinal() - _EPOCH_ORDINAL)

    def session_at(self, segment: str, ts_ms: int) -> Session | None:
        """Return the session that contains the instant (UTC epoch ms), None outside every session.

        Raises `CalendarError` for a year outside the table and for an unknown segment.
        """
        for session in self.sessions_on(segment, (ts_ms + IST_OFFSET_MS) // DAY_MS):
            if session.open_ms <= ts_ms < session.close_ms:
                return session
        return None

    def phase_at(self, segment: str, ts_ms: int) -> Phase:
        """Return the phase of the segment at the instant (UTC epoch ms). Raises as `session_at`."""
        for start, end, phase in self._phases_on(segment, (ts_ms + IST_OFFSET_MS) // DAY_MS):
            if start <= ts_ms < end:
                return phase
        return "closed"

    def is_trading_date(self, segment: str, date: date) -> bool:
        """True if the date has a session. Raises as `sessions_for`."""
        return bool(self.sessions_for(segment, date))

    def sessions_on(self, segment: str, day: int) -> tuple[Session, ...]:
        """Return what `sessions_for` does, for the IST date ``day`` days after 1970-01-01."""
        found = self._by_day.get((segment, day))
        if found is None:
            on = self._covered_date(day)
            midnight = day * DAY_MS - IST_OFFSET_MS
            found = tuple(
                Session(
                    date=on.isoformat(),
                    open_ms=midnight + span.open * _MINUTE_MS,
                    close_ms=midnight + span.close * _MINUTE_MS,
                    index=index,
                )
                for index, span in enumerate(self._spans(segment, on))
            )
            self._by_day[segment, day] = found
        return found

    def _phases_on(self, segment: str, day: int) -> tuple[tuple[int, int, Phase], ...]:
        """Return the stretches of a day that are not ``closed``: start, end (epoch ms), phase."""
        found = self._phases.get((segment, day))
        if found is None:
            sessions = self.sessions_on(segment, day)
            midnight = day * DAY_MS - IST_OFFSET_MS
            stretches: list[tuple[int, int, Phase]] = [
                (session.open_ms, session.close_ms, "session") for session in sessions
            ]
            if sessions:
                stretches.append((sessions[-1].close_ms, midnight + DAY_MS, "after_close"))
                stretches += (
                    (
                        midnight + span.open * _MINUTE_MS,
                        midnight + span.close * _MINUTE_MS,
                        "pre_open",
                    )
                    for span in self._pre_open_spans(segment, self._covered_date(day))
                )
            self._phases[segment, day] = found = tuple(stretches)
        return found

    def _covered_date(self, day: int) -> date:
        covers = f"the {self.name} calendar covers {self.first_year} to {self.last_year}"
        try:
            on = date.fromordinal(day + _EPOCH_ORDINAL)
        except (ValueError, OverflowError):
            # No date at all: most often seconds, micro- or nanoseconds given as milliseconds.
            year = 1970 + day * 400 // 146_097
            raise CalendarError(f"{covers}, not the year {year}: check the stamp's unit") from None
        if not self.first_year <= on.year <= self.last_year:
            raise CalendarError(f"{covers}, not {on.year} (asked about {on})")
        return on

    def _spans(self, segment: str, on: date) -> tuple[Span, ...]:
        rows = self._hours.get(segment)
        if rows is None:
            raise CalendarError(
                f"unknown segment {segment!r}: ask for {' or '.join(sorted(self._hours))}"
            )
        special = self._special.get((segment, on))
        if special is not None:
            return special
        if on.weekday() not in self._weekdays or on in self.closures:
            return ()
        return next(((row.span,) for row in rows if row.start <= on), ())

    def _pre_open_spans(self, segment: str, on: date) -> tuple[Span, ...]:
        rows = self._pre_open.get(segment, ())
        regular = next(((row.span,) for row in rows if row.start <= on), ())
        if regular and (segment, on) in self._special:
            return self._special_pre_open.get(on, ())
        return regular


def segment_of(product: str) -> str:
    """Return the segment whose sessions hold the product's underlying ticks: cash."""
    return CASH


@cache
def nse_calendar() -> Calendar:
    """Return the National Stock Exchange's calendar from the packaged table."""
    table = _table()
    return Calendar(
        "nse",
        first_year=table["coverage"]["first_year"],
        last_year=table["coverage"]["last_year"],
        hours=_hours(table["hours"]),
        closures={row["date"]: row["name"] for year in table["closures"].values() for row in year},
        special={
            (segment, row["date"]): tuple(_span(session) for session in row["sessions"])
            for row in table["special"]
            for segment in row["segments"]
        },
        unscheduled={row["date"]: row["name"] for row in table["unscheduled"]},
        pre_open=_hours(table["pre_open"]),
        special_pre_open={
            row["date"]: tuple(_span(span) for span in row["pre_open"])
            for row in table["special"]
            if "pre_open" in row
        },
        holiday_sessions=[row["date"] for row in table["special"] if row.get("holiday")],
    )


@cache
def always_open_calendar() -> Calendar:
    """Return a calendar that never closes, for simulated feeds: 00:00-24:00 IST, 2000 to 2100."""
    whole_day = Span(0, _DAY_MINUTES)
    return Calendar(
        "always-open",
        first_year=2000,
        last_year=2100,
        hours=[Hours(segment, date(2000, 1, 1), whole_day) for segment in SEGMENTS],
        weekdays=_EVERY_DAY,
    )


def calendar_for(namespace: Namespace) -> Calendar:
    """Return the calendar of a namespace: the simulation trades around the clock, all else by
    the exchange's calendar."""
    return always_open_calendar() if namespace.name == SIM else nse_calendar()


def product_info(product: str) -> ProductInfo | None:
    """Return strike step and chain width of an index now; None for one that is not listed."""
    rows = [row for row in contract_facts().grid if row.product == product]
    return ProductInfo(product, rows[-1].strike_step, rows[-1].chain_width) if rows else None


@cache
def _table() -> dict[str, Any]:
    path = resources.files("optionstream.streams.core.market.data") / "nse_calendar.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _newest_first(rows: Iterable[Hours]) -> dict[str, list[Hours]]:
    by_segment: dict[str, list[Hours]] = {}
    for row in sorted(rows, key=lambda row: row.start, reverse=True):
        by_segment.setdefault(row.segment, []).append(row)
    return by_segment


def _hours(rows: Iterable[Mapping[str, Any]]) -> list[Hours]:
    return [Hours(row["segment"], row["from"], _span(row)) for row in rows]


def _span(row: Mapping[str, Any]) -> Span:
    return Span(_minute(row["open"]), _minute(row["close"]))


def _midnight_ms(on: date) -> int:
    return (on.toordinal() - _EPOCH_ORDINAL) * DAY_MS - IST_OFFSET_MS


def _minute(at: time) -> int:
    return at.hour * 60 + at.minute
