"""The ways in which brokers and archives write an instant; naive ones are Indian time. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from optionstream.producers.feeds.stamps import parse_date
from optionstream.schemas.times import IST, to_ms

_SECONDS_DIGITS: Final = (9, 10)
_MILLISECONDS_DIGITS: Final = 13
LATEST_MS: Final = 253_370_764_800_000
"""Start of the year 9999; an instant from there on is none."""
_SHOWN_CHARS: Final = 40


def instant_ms(text: str) -> int:
    """UTC epoch ms of epoch seconds (9 or 10 digits) or milliseconds (13), of ISO 8601 with an
    offset or without one (Indian time), or of a date as ``stamps.parse_date`` takes it (its
    midnight in India). Fractions of a millisecond are cut off. Raises ValueError."""
    text = text.strip()
    ms = _digits_ms(text) if text.isascii() and text.isdigit() else None
    if ms is None:
        ms = to_ms(in_india(_moment(text)))
    if not 0 <= ms < LATEST_MS:
        raise ValueError(f"{text!r} lies outside the years 1970 to 9998")
    return ms


def in_india(moment: datetime) -> datetime:
    """The moment, with Indian time where it tells no offset."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=IST)


def _digits_ms(text: str) -> int | None:
    if len(text) in _SECONDS_DIGITS:
        return int(text) * 1000
    return int(text) if len(text) == _MILLISECONDS_DIGITS else None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.combine(parse_date(text), datetime.min.time())
    except ValueError:
        raise ValueError(f"{text[:_SHOWN_CHARS]!r} is no time") from None
