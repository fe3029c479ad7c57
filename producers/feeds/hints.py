"""What the caller says about a file where the file itself is silent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from optionstream.schemas.codec import is_product
from optionstream.schemas.errors import UsageError
from optionstream.schemas.times import ist_date

if TYPE_CHECKING:
    from optionstream.producers.feeds.kite.instruments import Instrument

Value = TypeVar("Value")

NearestExpiry = Callable[[str, str], str | None]
"""Returns the nearest ISO expiry of a product on an ISO date, None if it is not known."""


@dataclass(frozen=True, slots=True)
class FeedHints:
    """Values for what a file leaves out.

    What the file says wins, with one exception: the product in the rows of a candle or tick table
    is often wrong. There the hint wins, and a problem reports the difference.

    ``product`` is an upper-case product name, ``expiry`` an ISO date, ``timestamp_ms`` the UTC
    epoch millisecond of a chain. ``nearest_expiry`` is asked where ``expiry`` is None.
    ``instruments`` are a broker's instruments by token.
    Raises UsageError for a value of another form.
    """

    product: str | None = None
    expiry: str | None = None
    timestamp_ms: int | None = None
    nearest_expiry: NearestExpiry | None = None
    instruments: Mapping[int, Instrument] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.product is not None and not is_product(self.product):
            raise UsageError(
                f"product {self.product!r}: use 1 to 32 upper-case letters, digits, '&', '_', '-'"
            )
        if self.expiry is not None and not _is_iso_date(self.expiry):
            raise UsageError(f"expiry {self.expiry!r}: use YYYY-MM-DD")
        if self.timestamp_ms is not None and self.timestamp_ms < 0:
            raise UsageError(f"timestamp {self.timestamp_ms}: use epoch milliseconds from 0")

    def expiry_on(self, product: str, ts_ms: int) -> str | None:
        """Return the expiry for a chain of that time that does not name its own."""
        if self.expiry is not None or self.nearest_expiry is None:
            return self.expiry
        return self.nearest_expiry(product, ist_date(ts_ms))


def first_given(*values: Value | None) -> Value | None:
    """Return the first value that is not None."""
    return next((value for value in values if value is not None), None)


def _is_iso_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
