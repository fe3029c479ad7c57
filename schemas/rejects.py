"""Reasons for which records and ticks are rejected: stable codes, each with its meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MAX_KEPT_BYTES: Final = 8 << 20
"""Maximum size of a record whose bytes its reject keeps. A larger one would fit no topic as JSON
and no MongoDB document: its reject says so, and where the record is stored."""

UNDECODABLE: Final = "undecodable"
UNKNOWN_SCHEMA: Final = "unknown_schema"
INVALID: Final = "invalid"
FOREIGN_PARTITION: Final = "foreign_partition"
KEY_MISMATCH: Final = "key_mismatch"
WRONG_TOPIC: Final = "wrong_topic"
BAD_PRICE: Final = "bad_price"
BAD_CANDLE: Final = "bad_candle"
MISALIGNED_CANDLE: Final = "misaligned_candle"
BAD_QUOTE: Final = "bad_quote"
BAD_TIME: Final = "bad_time"
NO_CALENDAR: Final = "no_calendar"
FUTURE_EVENT: Final = "future_event"
TOO_LATE: Final = "too_late"
UNCONFIRMED_SESSION: Final = "unconfirmed_session"
EMPTY_CHAIN: Final = "empty_chain"

MEANING: Final[dict[str, str]] = {
    UNDECODABLE: "the bytes are not the JSON that the header promises",
    UNKNOWN_SCHEMA: "the header names a schema or a version that this release does not know",
    INVALID: "a field is missing, of a wrong type or out of its range",
    FOREIGN_PARTITION: "the record lies on a partition that its product does not belong to",
    KEY_MISMATCH: "the record's key is not the one its content asks for",
    WRONG_TOPIC: "the record's schema does not belong on this topic",
    BAD_PRICE: "a price is zero, negative or not finite",
    BAD_CANDLE: "a candle's prices are not positive, break low ≤ open, close ≤ high, or its "
    "volume is negative",
    MISALIGNED_CANDLE: "a candle does not start a whole number of its lengths after the open",
    BAD_QUOTE: "a quote's strike is not positive or one too many for a chain, or a figure "
    "is not finite or negative",
    BAD_TIME: "a time is negative or beyond what a clock can say",
    NO_CALENDAR: "the market calendar has no facts for the event's year",
    FUTURE_EVENT: "live only: the event lies too far ahead of its receipt",
    TOO_LATE: "the event belongs to a session before the current one",
    UNCONFIRMED_SESSION: "too many single events of other sessions were waiting for a second",
    EMPTY_CHAIN: "the snapshot has no leg at all",
}


REDRIVEN_FROM: Final = "redriven-from"
"""Header of a record that was sent again: the id of its reject. One for each time it was rejected,
in that order."""
ATTEMPT: Final = "redrive-attempt"
"""Header: number of times it was sent again, from 1."""


def causes(headers: Sequence[tuple[str, bytes | None]]) -> list[str]:
    """Return the ids of the rejects that a record comes from, in order; empty if it was never
    sent again."""
    return [
        (value or b"").decode("utf-8", "backslashreplace")
        for name, value in headers
        if name == REDRIVEN_FROM
    ]


def redriven_headers(
    headers: Sequence[tuple[str, bytes]], reject_id: str
) -> list[tuple[str, bytes]]:
    """Return the headers to send a rejected record again with."""
    kept = [(name, value) for name, value in headers if name != ATTEMPT]
    attempt = len(causes(headers)) + 1
    return [*kept, (REDRIVEN_FROM, reject_id.encode()), (ATTEMPT, str(attempt).encode())]


def is_kept(
    key: bytes | None, headers: Sequence[tuple[str, bytes | None]], value: bytes | None
) -> bool:
    """Return True if a reject keeps its record's bytes."""
    size = len(key or b"") + len(value or b"")
    return size + sum(len(name) + len(data or b"") for name, data in headers) <= MAX_KEPT_BYTES


def short(text: object) -> str:
    """Return ``repr(text)`` for a message, cut to 80 characters."""
    shown = repr(text)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"
