"""Checks beyond types: lengths and ranges within frames and chains, applied where data enters."""

from __future__ import annotations

from datetime import date
from itertools import islice
from operator import lt

from optionstream.schemas import rejects
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import (
    LARGEST_FIGURE,
    LEG_COLUMNS,
    MAX_FRAME_TICKS,
    MAX_STRIKES,
    CandleFrame,
    ChainSnapshot,
    Legs,
    OptionQuoteFrame,
    TickFrame,
)

_TICK_COLUMNS = ("price", "seq", "volume", "tick_id")
_CANDLE_COLUMNS = ("open", "high", "low", "close", "volume")
_QUOTE_COLUMNS = ("seq", "strike", "kind", *LEG_COLUMNS, "underlying_price")
_NEVER_NEGATIVE = ("oi", "volume")
_MINUTE_MS = 60_000


def check_frame(frame: TickFrame) -> None:
    """Raise RecordError ``invalid`` unless columns have equal lengths of 1 to 10,000 ticks."""
    _check_columns(frame, "ts_ms", _TICK_COLUMNS, "ticks")


def check_candles(frame: CandleFrame) -> None:
    """Check as ``check_frame`` does, and that a candle lasts whole minutes."""
    _check_columns(frame, "start_ms", _CANDLE_COLUMNS, "candles")
    if frame.interval_ms % _MINUTE_MS:
        raise RecordError(
            rejects.INVALID, f"interval_ms {frame.interval_ms} is not a whole number of minutes"
        )


def check_quotes(frame: OptionQuoteFrame) -> None:
    """Check as ``check_frame`` does, and that the expiry is a date.

    The quotes themselves are judged one by one (docs/semantics.md, "Option quotes").
    """
    _check_expiry(frame.expiry)
    _check_columns(frame, "ts_ms", _QUOTE_COLUMNS, "quotes")


def _check_columns(
    frame: TickFrame | CandleFrame | OptionQuoteFrame,
    first: str,
    others: tuple[str, ...],
    what: str,
) -> None:
    rows = len(getattr(frame, first))
    if not 1 <= rows <= MAX_FRAME_TICKS:
        raise RecordError(rejects.INVALID, f"{rows} {what}; a frame has 1 to {MAX_FRAME_TICKS}")
    for name in others:
        column = getattr(frame, name)
        if column is not None and len(column) != rows:
            raise RecordError(rejects.INVALID, f"{name} has {len(column)} values, {first} {rows}")


def _check_expiry(expiry: str) -> None:
    try:
        date.fromisoformat(expiry)
    except ValueError:
        raise RecordError(rejects.INVALID, f"expiry {expiry!r} is not a date") from None


def check_chain(chain: ChainSnapshot) -> None:
    """Raise RecordError ``invalid`` for a malformed chain, ``empty_chain`` for one without legs.

    The expiry must be a date and strikes rise strictly. Columns are as long as the strikes, no
    number is beyond ``LARGEST_FIGURE``, open interest and volume are not negative.
    """
    _check_expiry(chain.expiry)
    strikes = chain.strikes
    if not strikes:
        raise RecordError(rejects.EMPTY_CHAIN, "no strikes")
    if len(strikes) > MAX_STRIKES:
        raise RecordError(
            rejects.INVALID, f"{len(strikes)} strikes; a chain has at most {MAX_STRIKES}"
        )
    rise = all(map(lt, strikes, islice(strikes, 1, None)))
    if not (0 < strikes[0] <= strikes[-1] <= LARGEST_FIGURE and rise):
        raise RecordError(rejects.INVALID, "strikes must be positive and rise strictly")
    for side, legs in (("calls", chain.calls), ("puts", chain.puts)):
        _check_legs(side, legs, len(strikes))
    price = chain.underlying_price
    if price is not None and not 0 < price <= LARGEST_FIGURE:
        raise RecordError(rejects.INVALID, f"underlying_price {price} is not a price")
    if not any(_present(legs) for legs in (chain.calls, chain.puts)):
        raise RecordError(rejects.EMPTY_CHAIN, "every leg is missing")


def _check_legs(side: str, legs: Legs, strikes: int) -> None:
    for name in LEG_COLUMNS:
        column: list[float | None] = getattr(legs, name)
        if len(column) != strikes:
            raise RecordError(
                rejects.INVALID, f"{side}.{name} has {len(column)} values, strikes {strikes}"
            )
        # Values other than None and 0, without a loop in Python; a sum with a NaN is NaN.
        numbers = list(filter(None, column))
        if not numbers:
            continue
        least, total = min(numbers), sum(numbers)
        if not (least >= -LARGEST_FIGURE and max(numbers) <= LARGEST_FIGURE and total == total):
            raise RecordError(rejects.INVALID, f"{side}.{name} has a number out of range")
        if least < 0 and name in _NEVER_NEGATIVE:
            raise RecordError(rejects.INVALID, f"{side}.{name} has a negative number")


def _present(legs: Legs) -> bool:
    return any(value is not None for name in LEG_COLUMNS for value in getattr(legs, name))
