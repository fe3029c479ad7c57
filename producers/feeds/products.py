"""What the name of a file or of its folder says: product, expiry, time. Pure.

Exports and scrapers put into the name what the content leaves out. A time without a zone is Indian
time; ``UTC`` or ``Z`` behind it is said. A date alone is the close of that day.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timezone
from pathlib import Path
from typing import Final

from optionstream.producers.feeds.stamps import month_number, parse_date
from optionstream.schemas.codec import is_product
from optionstream.schemas.times import IST, to_ms

INDEX_PRODUCT: Final = {
    "NIFTY 50": "NIFTY",
    "NIFTY50": "NIFTY",
    "NIFTY BANK": "BANKNIFTY",
    "NIFTY FIN SERVICE": "FINNIFTY",
    "NIFTY MID SELECT": "MIDCPNIFTY",
    "NIFTY NEXT 50": "NIFTYNXT50",
}
"""Product by the name of the index, as the exchange writes it and as data vendors do."""


def product_named(text: str) -> str:
    """The product of an index or a symbol in any case. Raises ValueError for no product name."""
    name = " ".join(text.upper().split())
    product = INDEX_PRODUCT.get(name, name)
    if not is_product(product):
        raise ValueError(f"{text!r} is no product name: letters and digits")
    return product


_CLOSE: Final = (15, 30)
"""Hour and minute of the close, Indian time."""

_EXPORT: Final = re.compile(r"option-chain-ED-(.+?)-(\d{1,2}-[A-Za-z]{3}-\d{4})(?!\d)")
"""``option-chain-ED-NIFTY-29-Sep-2026``: the exchange's website names its export so."""
_SCRAPED: Final = re.compile(r"([A-Z0-9&-]+)_(?:[A-Za-z]+_)?(?=\d{4}-\d\d-\d\d_)")
"""``NIFTY_2019-05-17_0917``, ``NIFTY_OptionChain_2025-10-14_03-15-14_UTC``."""
_STAMP: Final = re.compile(
    r"(?<!\d)(?P<year>\d{4})-?(?P<month>\d\d|[A-Za-z]{3})-?(?P<day>\d{1,2})"
    r"(?:[ _T-]+(?P<hour>\d\d)[-:]?(?P<minute>\d\d)(?:[-:]?(?P<second>\d\d))?"
    r"(?:\.\d+)?(?P<utc>_?UTC|Z)?)?(?!\d)"
)


def product_of_name(path: Path) -> str | None:
    """The product where the exchange's website or a scraper puts it in a file's name."""
    found = _EXPORT.search(path.name) or _SCRAPED.match(path.name)
    return found[1].upper() if found else None


def expiry_of_name(path: Path) -> str | None:
    """The ISO expiry in a file's name as the website writes it, else the folder's name when that
    is a date (``13JUN2019``, ``6JUN2019``)."""
    found = _EXPORT.search(path.name)
    for text in (found[2] if found else "", path.parent.name):
        try:
            return parse_date(text).isoformat()
        except ValueError:
            continue
    return None


def time_of_name(path: Path) -> int | None:
    """The UTC epoch ms in a file's name, else in its folder's name; one with a time of day goes
    before one that is a date alone. An expiry in the name is left aside."""
    for name in (path.name, path.parent.name):
        found = [at for at in map(_instant, _STAMP.finditer(_EXPORT.sub("", name))) if at]
        if found:
            return to_ms(max(found, key=lambda at: at[1])[0])
    return None


def _instant(found: re.Match[str]) -> tuple[datetime, bool] | None:
    """The instant, and whether its time of day is told; None for no date or no time."""
    timed = found["hour"] is not None
    hour, minute = (int(found["hour"]), int(found["minute"])) if timed else _CLOSE
    zone: timezone = UTC if found["utc"] else IST
    try:
        day = date(int(found["year"]), _month(found["month"]), int(found["day"]))
        at = datetime.combine(day, time(hour, minute, int(found["second"] or 0)), zone)
    except ValueError:
        return None
    return None if to_ms(at) < 0 else (at, timed)


def _month(text: str) -> int:
    return int(text) if text.isdigit() else month_number(text)
