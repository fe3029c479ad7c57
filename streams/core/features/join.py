"""The join of bars and chains of one partition, by the minimum watermark of both.

A bar that is final says that the ticks have reached its end. The chains of a product have reached
a moment once one of them was received after it: their watermark is the greatest receipt so far,
less the allowed lateness. Rows depend on the records, not on their order. Rules: docs/features.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from optionstream.schemas.derived import Bar
from optionstream.schemas.files.feature_rows import (
    BarKey,
    Row,
    Version,
    bar_key,
    file_order,
    newest,
    version_of,
)
from optionstream.schemas.settings import ROW_INTERVALS
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS, ist_date
from optionstream.streams.core.features.day import DayJoin, first_minute, row_without_chains
from optionstream.streams.core.features.facts import ChainFacts
from optionstream.streams.core.watermark import Watermark

KEPT_DAYS: Final = 8
"""A date of a product at rest is given up when its partition has seen so many later ones. Topics of
live keep less."""

ProductDay = tuple[str, int]
"""A product and an IST date, in days since 1970."""


@dataclass(frozen=True, slots=True)
class FeatureRules:
    """``grace_ms``: how long after the bar's end a snapshot may have been received and still count
    (the bar itself is not final earlier). ``lateness_ms``: how far the chains' watermark is
    behind the greatest receipt. ``max_age_ms``: an older snapshot is silent."""

    grace_ms: int
    lateness_ms: int
    max_age_ms: int
    intervals: Collection[str] = ROW_INTERVALS


@dataclass(slots=True)
class _Product:
    watermark: Watermark
    """Of the chains, by their receipt."""
    days: dict[int, DayJoin] = field(default_factory=dict)
    bars_day: int = -1
    chains_day: int = -1
    closed_through: int = -1
    """Days up to this one that are not in ``days`` were closed."""
    gone: list[Row] = field(default_factory=list)


class FeatureJoin:
    """The products of one partition. Not shared between threads."""

    def __init__(self, rules: FeatureRules) -> None:
        self._rules = rules
        self._products: dict[str, _Product] = {}
        self._newest_days: list[int] = []
        """The last ``KEPT_DAYS`` dates seen, of any product; rises."""

    # -- input ------------------------------------------------------------------------------

    def add_bar(self, bar: Bar) -> bool:
        """Add a bar; False for one that makes no row: of an open window, of another interval, or
        known already."""
        if not bar.final or bar.interval not in self._rules.intervals:
            return False
        product, day = self._product(bar.product), day_of(bar.start)
        product.bars_day = max(product.bars_day, day)
        joined = self._day(product, day)
        if joined is None:
            product.gone.append(row_without_chains(bar))
            return True
        return joined.add_bar(bar)

    def add_chain(self, facts: ChainFacts) -> bool:
        """Add a snapshot; False if its date is no longer kept."""
        product, day = self._product(facts.product), day_of(facts.ts_event)
        product.chains_day = max(product.chains_day, day)
        joined = self._day(product, day)
        if joined is not None:
            minute = first_minute(facts.ts_event, facts.ts_recv, self._rules.grace_ms)
            if joined.add_chain(minute, facts) and self._reached(product, minute):
                joined.dirty = minute if joined.dirty is None else min(minute, joined.dirty)
        product.watermark.raise_to(product.watermark.after(facts.ts_recv))
        return joined is not None

    # -- output -----------------------------------------------------------------------------

    def take_rows(self, idle: Collection[str] = ()) -> list[Row]:
        """Return the rows that are due, those of one bar in the order of their versions. The chains
        of products in ``idle`` do not hold rows back for now."""
        rows: list[Row] = []
        for name, product in self._products.items():
            rows += product.gone
            product.gone = []

            def reached(end: int, product: _Product = product) -> bool:
                """True if no chain can come any more that a bar ending there may use."""
                return self._reached(product, end)

            for day in sorted(product.days):
                rows += product.days[day].take_rows(reached, name in idle)
            self._close_days(product)
        return rows

    def outstanding(self) -> dict[str, int]:
        """Return by product how many bars wait and have no row, or one that may be out of date."""
        return {
            name: sum(day.outstanding for day in product.days.values()) + len(product.gone)
            for name, product in self._products.items()
        }

    def open_days(self) -> Iterator[ProductDay]:
        """Yield the days that have to be read again to continue from here."""
        for name, product in self._products.items():
            for day in product.days:
                yield name, day

    # -- days -------------------------------------------------------------------------------

    def _product(self, name: str) -> _Product:
        product = self._products.get(name)
        if product is None:
            watermark = Watermark(self._rules.lateness_ms, -1 - self._rules.lateness_ms)
            product = self._products[name] = _Product(watermark)
        return product

    def _day(self, product: _Product, day: int) -> DayJoin | None:
        """Return the day's join; None for a day that was closed."""
        self._see_day(day)
        joined = product.days.get(day)
        if joined is None and day > product.closed_through:
            joined = product.days[day] = DayJoin(_date(day), self._rules.max_age_ms)
        return joined

    def _see_day(self, day: int) -> None:
        if day not in self._newest_days:
            self._newest_days = sorted([*self._newest_days, day])[-KEPT_DAYS:]

    def _reached(self, product: _Product, end: int) -> bool:
        """True if the chains' watermark has passed everything that a bar ending there may use."""
        return product.watermark.reached_ms > end + self._rules.grace_ms

    def _close_days(self, product: _Product) -> None:
        """Forget the days that both inputs have left behind, but for the last of them (a chain
        assembled from quotes for the close goes out when the next session begins); and long past
        ones of products that came to rest."""
        reached = min(product.bars_day, product.chains_day)
        left = max((day for day in product.days if day < reached), default=reached)
        past = self._newest_days[0] if len(self._newest_days) == KEPT_DAYS else -1
        for day, joined in list(product.days.items()):
            if (day < left and not joined.waits) or (day < past and not joined.outstanding):
                del product.days[day]
                product.closed_through = max(product.closed_through, day)


def merge_rows(stored: Sequence[Row], made: Iterable[Row]) -> list[Row]:
    """Return the stored rows and those of ``made`` that are new, in the order of the files.

    A row enters when its version is above that of the newest row of its bar, as the next
    revision. So a row that is made again, by a restarted worker or by two of them, changes nothing,
    and one made from less than is known already comes to nothing.
    """
    held: dict[BarKey, tuple[int, Version]] = {
        bar_key(row): (row["revision"], version_of(row)) for row in newest(stored)
    }
    rows = list(stored)
    for row in made:
        key, version = bar_key(row), version_of(row)
        revision, known = held.get(key, (0, ()))
        if version > known:
            held[key] = revision + 1, version
            rows.append(row | {"revision": revision + 1})
    return sorted(rows, key=file_order)


def day_of(ms: int) -> int:
    """Return the IST date of an instant (UTC epoch ms), in days since 1970."""
    return (ms + IST_OFFSET_MS) // DAY_MS


@lru_cache(maxsize=64)
def _date(day: int) -> str:
    return ist_date(day * DAY_MS)
