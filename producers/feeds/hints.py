"""What a file does not say: hints from the caller, and the index named in a path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from optionstream.schemas.codec import is_product
from optionstream.schemas.errors import UsageError

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

_NOT_IN_A_WORD = re.compile(r"[^A-Z0-9]+")


@dataclass(frozen=True, slots=True)
class FeedHints:
    """Taken where the file itself is silent; what the file says wins.

    ``product`` is an upper-case product name, ``expiry`` an ISO date, ``timestamp_ms`` the UTC
    epoch millisecond of a chain. Raises UsageError for a value of another form.
    """

    product: str | None = None
    expiry: str | None = None
    timestamp_ms: int | None = None

    def __post_init__(self) -> None:
        if self.product is not None and not is_product(self.product):
            raise UsageError(
                f"product {self.product!r}: use 1 to 32 upper-case letters, digits, '&', '_', '-'"
            )
        if self.expiry is not None and not _is_iso_date(self.expiry):
            raise UsageError(f"expiry {self.expiry!r}: use YYYY-MM-DD")
        if self.timestamp_ms is not None and self.timestamp_ms < 0:
            raise UsageError(f"timestamp {self.timestamp_ms}: use epoch milliseconds from 0")


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
