"""Product, expiry and time of a file: from its name, its folder, its rows and the hints. Pure.

Exports and scrapers put into the name what the content leaves out. A time without a zone is Indian
time, unless ``UTC`` or ``Z`` follows it. A date alone is the close of that day.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timezone
from pathlib import Path
from typing import Final

from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.times import CLOSE, month_number, parse_date
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
"""Product by index name, as written by the exchange and by data vendors."""
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

_EXPORT: Final = re.compile(r"option-chain-ED-(.+?)-(\d{1,2}-[A-Za-z]{3}-\d{4})(?!\d)")
"""``option-chain-ED-NIFTY-29-Sep-2026``: name of an export from the exchange's website."""
_SCRAPED: Final = re.compile(r"([A-Z0-9&-]+)_(?:[A-Za-z]+_)?(?=\d{4}-\d\d-\d\d_)")
"""``NIFTY_2019-05-17_0917``, ``NIFTY_OptionChain_2025-10-14_03-15-14_UTC``."""
_STAMP: Final = re.compile(
    r"(?<!\d)(?P<year>\d{4})-?(?P<month>\d\d|[A-Za-z]{3})-?(?P<day>\d{1,2})"
    r"(?:[ _T-]+(?P<hour>\d\d)[-:]?(?P<minute>\d\d)(?:[-:]?(?P<second>\d\d))?"
    r"(?:\.\d+)?(?P<utc>_?UTC|Z)?)?(?!\d)"
)
_NOT_IN_A_WORD: Final = re.compile(r"[^A-Z0-9]+")
_SHOWN: Final = 3


def product_named(text: str) -> str:
    """Return the product of an index or symbol name in any case. Raises ValueError."""
    name = " ".join(text.upper().split())
    product = INDEX_PRODUCT.get(name, name)
    if not is_product(product):
        raise ValueError(f"{text!r} is not a product name: use letters and digits")
    return product


def product_of_name(path: Path) -> str | None:
    """Return the product in the file name of an export or a scraper, None if there is none."""
    found = _EXPORT.search(path.name) or _SCRAPED.match(path.name)
    return found[1].upper() if found else None


def expiry_of_name(path: Path) -> str | None:
    """Return the ISO expiry in the name of an export, else the folder's name if it is a date
    (``13JUN2019``, ``6JUN2019``)."""
    found = _EXPORT.search(path.name)
    for text in (found[2] if found else "", path.parent.name):
        try:
            return parse_date(text).isoformat()
        except ValueError:
            continue
    return None


def time_of_name(path: Path) -> int | None:
    """Return the time in the file's name, else in its folder's name, as UTC epoch ms.

    A date with a time of day goes before a date alone. The expiry in the name of an export does
    not count.
    """
    for name in (path.name, path.parent.name):
        found = [at for at in map(_instant, _STAMP.finditer(_EXPORT.sub("", name))) if at]
        if found:
            return to_ms(max(found, key=lambda at: at[1])[0])
    return None


def product_in_path(path: Path) -> str | None:
    """Return the known index that is a whole word of the file's name, else of its folder's name.

    ``ticks-nifty-1s-2022/2022-08-10.csv.gz`` → ``NIFTY``; of several words the longest wins.
    """
    whole = path.absolute()
    for name in (whole.name, whole.parent.name):
        words = set(_NOT_IN_A_WORD.split(name.upper()))
        for index in KNOWN_INDICES:
            if index in words:
                return index
    return None


def product_of_index_file(file: FeedInput, labels: Collection[str] = ()) -> str:
    """Return the product as ``product_of_file``; without hint and labels, the index in the path.

    Raises InputError if the rows name one index and the path another: real files are mislabelled,
    and only the caller knows which one is right.
    """
    named = product_in_path(file.path)
    if file.hints.product is None and named is not None:
        if not labels:
            return named
        label = _only_label(file, labels)
        if label in KNOWN_INDICES and label != named:
            raise file.error(
                f"its rows say {label}, its path says {named}; pass --product to choose one"
            )
    return product_of_file(file, labels)


def product_of_file(file: FeedInput, labels: Collection[str]) -> str:
    """Return the product of the hint, else of ``labels``, the instruments that the rows name.

    A problem reports rows that differ from the hint. Raises InputError without any product, and
    for rows of several products.
    """
    given = file.hints.product
    if not labels:
        return file.need_product(given)
    label = _only_label(file, labels)
    if given is None or given == label:
        return label
    file.problems.append(f"its rows say {label}; read as {given} because of --product")
    return given


def _only_label(file: FeedInput, labels: Collection[str]) -> str:
    try:
        names = sorted({product_named(label) for label in labels})
    except ValueError as error:
        raise file.error(str(error)) from None
    if len(names) > 1:
        more = ", …" if len(names) > _SHOWN else ""
        raise file.error(
            f"rows of several products: {', '.join(names[:_SHOWN])}{more}; use one per file"
        )
    return names[0]


def _instant(found: re.Match[str]) -> tuple[datetime, bool] | None:
    """Return the instant and whether it has a time of day; None for no valid date or time."""
    timed = found["hour"] is not None
    hour, minute = (int(found["hour"]), int(found["minute"])) if timed else CLOSE
    zone: timezone = UTC if found["utc"] else IST
    try:
        day = date(int(found["year"]), _month(found["month"]), int(found["day"]))
        at = datetime.combine(day, time(hour, minute, int(found["second"] or 0)), zone)
    except ValueError:
        return None
    return None if to_ms(at) < 0 else (at, timed)


def _month(text: str) -> int:
    return int(text) if text.isdigit() else month_number(text)
