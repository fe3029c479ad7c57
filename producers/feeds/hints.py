"""What a file does not say: hints from the caller, and the index named in a path."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from optionstream.schemas.codec import is_product
from optionstream.schemas.errors import InputError, UsageError
from optionstream.schemas.times import ist_date

if TYPE_CHECKING:
    from optionstream.producers.feeds.kite.instruments import Instrument

KNOWN_INDICES: Final = (
    "NIFTYNXT50",
    "MIDCPNIFTY",
    "BANKNIFTY",
    "FINNIFTY",
    "SENSEX",
    "BANKEX",
    "NIFTY",
)
"""Index names looked for in paths, the longest first."""

Told = TypeVar("Told")

NearestExpiry = Callable[[str, str], str | None]

_NOT_IN_A_WORD = re.compile(r"[^A-Z0-9]+")


@dataclass(frozen=True, slots=True)
class FeedHints:
    """Taken where the file itself is silent. What the file says wins, but for the product named in
    the rows of a candle or tick table, which is often wrong: there the hint wins, and it is told.

    ``product`` is an upper-case product name, ``expiry`` an ISO date, ``timestamp_ms`` the UTC
    epoch millisecond of a chain. ``nearest_expiry`` is asked, where ``expiry`` is None, for the
    ISO expiry of a product that was the nearest on an ISO date, None when it does not know.
    ``instruments`` says what stands behind the tokens of a broker's packets.
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
        """The expiry of a chain of that time which does not say it."""
        if self.expiry is not None or self.nearest_expiry is None:
            return self.expiry
        return self.nearest_expiry(product, ist_date(ts_ms))


def first_told(*told: Told | None) -> Told | None:
    """The first that is not None."""
    return next((one for one in told if one is not None), None)


def needed_product(product: str | None, name: str) -> str:
    """The product. Raises InputError, which names the option to add, for None."""
    if product is None:
        raise InputError(name, "it does not say its product: add --product NIFTY")
    if not is_product(product):
        raise InputError(name, f"{product!r} is no product name: upper-case letters and digits")
    return product


def needed_time(ts_ms: int | None, name: str) -> int:
    """The time. Raises InputError, which names the option to add, for None."""
    if ts_ms is None:
        raise InputError(name, "it does not say its time: add --timestamp")
    return ts_ms


def needed_expiry(expiry: str | None, name: str) -> str:
    """The expiry. Raises InputError, which names the option to add, for None."""
    if expiry is None:
        raise InputError(name, "it does not say its expiry: add --expiry-date YYYY-MM-DD")
    return expiry


def product_in_path(path: Path) -> str | None:
    """The known index that is a whole word of the file's name, else of its folder's name.

    ``ticks-nifty-1s-2022/2022-08-10.csv.gz`` → ``NIFTY``; of several words the longest wins.
    """
    whole = path.absolute()
    for name in (whole.name, whole.parent.name):
        words = set(_NOT_IN_A_WORD.split(name.upper()))
        for index in KNOWN_INDICES:
            if index in words:
                return index
    return None


def _is_iso_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
