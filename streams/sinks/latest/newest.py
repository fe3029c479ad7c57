"""The newest of everything in a batch, and the Redis entries it makes. Pure: no server here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from optionstream.schemas import redis_keys
from optionstream.schemas.derived import Bar, ChainAnalytics, VolatilitySurface
from optionstream.schemas.documents import (
    Contract,
    Document,
    bar_document,
    chain_document_with,
    pcr_document,
    surface_document,
    tick_document,
)
from optionstream.schemas.events import TickFrame
from optionstream.schemas.newer_wins import Entry, bar_version, tick_version
from optionstream.schemas.topics import Namespace
from optionstream.streams.sinks.latest.leg_values import EncodedLeg, encoded_legs, option_values

_encode = msgspec.json.Encoder().encode


@dataclass
class Batch:
    """What a batch of records leaves when only the newest of each key counts.

    ``chains`` keeps every chain of a batch that may still own an option: a leg missing from the
    newest snapshot keeps the value of the last snapshot that had it.
    """

    namespace: Namespace
    ticks: dict[str, tuple[str, Document]] = field(default_factory=dict)
    bars: dict[tuple[str, str], tuple[str, Bar]] = field(default_factory=dict)
    chains: dict[tuple[str, str], dict[str, ChainAnalytics]] = field(default_factory=dict)
    surfaces: dict[str, VolatilitySurface] = field(default_factory=dict)
    newest: dict[str, dict[str, int]] = field(default_factory=dict)
    """Scores of the index sets: key → member → newest event time, epoch ms."""

    def add_frame(self, frame: TickFrame) -> None:
        """Offer the newest tick of a frame without refused ticks."""
        at = newest_index(frame.ts_ms, frame.seq)
        version = tick_version(frame.ts_ms[at], frame.seq[at])
        held = self.ticks.get(frame.product)
        if held is None or version > held[0]:
            self.ticks[frame.product] = (version, frame_tick(frame, at))
            self._index(redis_keys.PRODUCTS, frame.product, frame.ts_ms[at])

    def add_bar(self, bar: Bar) -> None:
        version = bar_version(bar)
        key = bar.product, bar.interval
        held = self.bars.get(key)
        if held is None or version > held[0]:
            self.bars[key] = (version, bar)
            self._index(redis_keys.PRODUCTS, bar.product, bar.start)

    def add_chain(self, chain: ChainAnalytics) -> None:
        self.chains.setdefault((chain.product, chain.expiry), {})[chain.version] = chain
        self._index(redis_keys.PRODUCTS, chain.product, chain.ts_event)
        self._index(redis_keys.expiries(chain.product), chain.expiry, chain.ts_event)

    def add_surface(self, surface: VolatilitySurface) -> None:
        held = self.surfaces.get(surface.product)
        if held is None or surface.version > held.version:
            self.surfaces[surface.product] = surface

    def entries(self) -> list[Entry]:
        """Everything to write, one entry a key."""
        return [*self.quick_entries(), *self.slow_entries()]

    def quick_entries(self) -> list[Entry]:
        """Ticks and bars: made in no time."""
        return [*self._tick_entries(), *self._bar_entries()]

    def slow_entries(self) -> list[Entry]:
        """Chains, their options and surfaces: a document for each leg, milliseconds a chain."""
        return [*self._chain_entries(), *self._surface_entries()]

    def index_sets(self) -> dict[str, dict[str, int]]:
        """``newest`` under the namespace's full key names."""
        return {self.namespace.redis(key): members for key, members in self.newest.items()}

    def _index(self, key: str, member: str, ts_ms: int) -> None:
        members = self.newest.setdefault(key, {})
        members[member] = max(ts_ms, members.get(member, ts_ms))

    def _tick_entries(self) -> Iterator[Entry]:
        channel = self.namespace.redis(redis_keys.CHANNEL_UNDERLYING)
        for product, (version, document) in self.ticks.items():
            yield self._entry(redis_keys.underlying(product), version, document, 0, channel)

    def _bar_entries(self) -> Iterator[Entry]:
        for (product, interval), (version, bar) in self.bars.items():
            key = redis_keys.ohlc(product, interval)
            lifetime_s = redis_keys.ohlc_lifetime_s(interval)
            yield self._entry(key, version, bar_document(bar), lifetime_s)

    def _chain_entries(self) -> Iterator[Entry]:
        for by_version in self.chains.values():
            newest, *older = (by_version[version] for version in sorted(by_version, reverse=True))
            legs = encoded_legs(newest)
            yield from self._whole_chain(newest, legs)
            done: set[Contract] = set()
            yield from self._option_entries(newest, legs, done)
            for chain in older:
                yield from self._option_entries(chain, encoded_legs(chain, done), done)

    def _surface_entries(self) -> Iterator[Entry]:
        for product, surface in self.surfaces.items():
            key, lifetime_s = redis_keys.surface(product), redis_keys.SURFACE_LIFETIME_S
            yield self._entry(key, surface.version, surface_document(surface), lifetime_s)

    def _whole_chain(self, chain: ChainAnalytics, legs: list[EncodedLeg]) -> Iterator[Entry]:
        place, version = (chain.product, chain.expiry), chain.version
        channel = self.namespace.redis(redis_keys.CHANNEL_ENRICHED)
        document = chain_document_with(chain, ((leg.kind, Raw(leg.row)) for leg in legs))
        yield self._entry(redis_keys.chain(*place), version, document, 0, channel)
        lifetime_s = redis_keys.PCR_LIFETIME_S
        yield self._entry(redis_keys.pcr(*place), version, pcr_document(chain), lifetime_s)

    def _option_entries(
        self, chain: ChainAnalytics, legs: list[EncodedLeg], done: set[Contract]
    ) -> Iterator[Entry]:
        version, prefix = chain.version, self.namespace.redis(redis_keys.option(""))
        for symbol, value in option_values(chain, legs):
            yield Entry(prefix + symbol, version, value)
        done.update((leg.kind, leg.strike) for leg in legs)

    def _entry(
        self, key: str, version: str, document: Document, lifetime_s: int = 0, channel: str = ""
    ) -> Entry:
        lives_s = lifetime_s if self.namespace.is_live else 0
        return Entry(self.namespace.redis(key), version, _encode(document), lives_s, channel)


def newest_index(ts_ms: list[int], seq: list[int]) -> int:
    """Where the greatest (time, order number) stands; the first of equals."""
    latest = max(ts_ms)
    if ts_ms.count(latest) == 1:
        return ts_ms.index(latest)
    return max((at for at, ts in enumerate(ts_ms) if ts == latest), key=seq.__getitem__)


def frame_tick(frame: TickFrame, at: int) -> Document:
    """One tick of a frame as its document."""
    return tick_document(
        frame.product,
        frame.ts_ms[at],
        frame.price[at],
        None if frame.volume is None else frame.volume[at],
        frame.seq[at],
        frame.source,
        frame.session,
    )
