"""The surfaces of one product, from its analysed chains in the order in which they were accepted.

Implements docs/semantics.md ("Volatility surfaces").
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from optionstream.schemas.derived import ChainAnalytics, IvMode, Smile, VolatilitySurface
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS
from optionstream.schemas.topics import SURFACE
from optionstream.streams.core.intake import Output
from optionstream.streams.core.surface.grid import LOG_MONEYNESS, TENORS_DAYS, grid_of
from optionstream.streams.core.surface.smile import smile_of

CALENDAR_ARBITRAGE: Final = "calendar_arbitrage"
INCOMPLETE_CAPTURE: Final = "incomplete_capture"

Version = tuple[int, int, str]
"""Orders the chains of one expiry: exchange time, receipt, id."""


class Held(Struct, array_like=True, frozen=True):
    """The newest chain of an expiry: its smile, or why it has none."""

    version: Version
    told: Smile | str


class Last(Struct, array_like=True, frozen=True):
    """What a surface takes over from the chain that was the last to join."""

    expiry: str
    snapshot_id: str
    iv_mode: IvMode
    known_at: int


class Capture(Struct, array_like=True):
    """Chains that came in one body, until all are there; ``last`` is None while none of them was
    newer than what was held."""

    id: str
    expiries_in_capture: int
    expiries: list[str]
    last: Last | None = None


class Moment(Struct, array_like=True):
    """What changes with every chain. ``day`` counts IST days from 1970; ``capture`` waits for the
    rest of its chains."""

    day: int = 0
    number: int = 0
    capture: Capture | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Held).decode


class ProductSurfaces:
    """The newest chains of one product's day, and what became of them."""

    def __init__(self, moment: Moment | None = None) -> None:
        self.moment = Moment() if moment is None else moment
        self._held: dict[str, Held] = {}
        self._stored: set[str] = set()
        """Expiries that have a segment."""
        self._changed: set[str] = set()
        """Expiries that changed since they were last stored."""

    def add(self, chain: ChainAnalytics) -> list[VolatilitySurface]:
        """Take the next chain of the product; returns the surfaces that go out: none, one, or first
        one of a capture that was not completed."""
        moment, day = self.moment, (chain.ts_event + IST_OFFSET_MS) // DAY_MS
        version = chain.ts_event, chain.ts_recv, chain.snapshot_id
        held = self._held.get(chain.expiry)
        if day < moment.day or (held is not None and version < held.version):
            return []
        ended = self._end_other_capture(chain, day)
        if day > moment.day:
            self._begin(day)
        is_newer = held is None or version > held.version
        if is_newer:
            self._take(chain, version)
        return [*ended, *self._join(chain, is_newer)]

    def finish(self, product: str) -> list[VolatilitySurface]:
        """The surface of a capture that still waits, where no chain will come any more."""
        capture, self.moment.capture = self.moment.capture, None
        return [] if capture is None else self._surfaces(product, capture)

    def take_segments(self) -> dict[str, bytes | None]:
        """What is held of the expiries that changed since the last call, None for those that are
        gone."""
        segments: dict[str, bytes | None] = dict.fromkeys(self._stored - self._held.keys())
        segments |= {expiry: _encode(self._held[expiry]) for expiry in self._changed}
        self._stored, self._changed = set(self._held), set()
        return segments

    def restore(self, expiry: str, data: bytes) -> None:
        """Hold again what was stored of an expiry."""
        self._held[expiry] = _decode(data)
        self._stored.add(expiry)

    def _begin(self, day: int) -> None:
        self._held, self._changed = {}, set()
        self.moment = Moment(day)

    def _take(self, chain: ChainAnalytics, version: Version) -> None:
        self._held[chain.expiry] = Held(version, smile_of(chain))
        self._changed.add(chain.expiry)

    def _join(self, chain: ChainAnalytics, is_newer: bool) -> list[VolatilitySurface]:
        """The surface that the chain completes."""
        capture = self.moment.capture
        if capture is None:
            capture = Capture(chain.capture_id, chain.expiries_in_capture, [])
        if chain.expiry not in capture.expiries:
            capture.expiries.append(chain.expiry)
        if is_newer:
            last = Last(chain.expiry, chain.snapshot_id, chain.iv_mode, chain.known_at)
            capture.last = last
        is_complete = len(capture.expiries) >= capture.expiries_in_capture
        self.moment.capture = None if is_complete else capture
        return self._surfaces(chain.product, capture) if is_complete else []

    def _end_other_capture(self, chain: ChainAnalytics, day: int) -> list[VolatilitySurface]:
        """The surface of a capture of which no more will come, for the chain is of another."""
        capture = self.moment.capture
        if capture is None or (capture.id == chain.capture_id and day == self.moment.day):
            return []
        return self.finish(chain.product)

    def _surfaces(self, product: str, capture: Capture) -> list[VolatilitySurface]:
        """One; none when nothing in the capture was new."""
        if capture.last is None:
            return []
        self.moment.number += 1
        smiles = [one.told for _, one in sorted(self._held.items()) if isinstance(one.told, Smile)]
        grid = grid_of(smiles)
        signs = {
            CALENDAR_ARBITRAGE: grid.has_calendar_arbitrage,
            INCOMPLETE_CAPTURE: len(capture.expiries) < capture.expiries_in_capture,
        }
        surface = VolatilitySurface(
            product=product,
            expiry=capture.last.expiry,
            snapshot_id=capture.last.snapshot_id,
            number=self.moment.number,
            ts_event=max(one.version[0] for one in self._held.values()),
            ts_recv=max(one.version[1] for one in self._held.values()),
            iv_mode=capture.last.iv_mode,
            capture_id=capture.id,
            expiries_in_capture=capture.expiries_in_capture,
            expiries_captured=len(capture.expiries),
            smiles=smiles,
            left_out={
                expiry: one.told
                for expiry, one in sorted(self._held.items())
                if isinstance(one.told, str)
            },
            tenors_days=list(TENORS_DAYS),
            log_moneyness=list(LOG_MONEYNESS),
            iv=[iv for iv, _ in grid.rows],
            reason=[reason for _, reason in grid.rows],
            flags=[name for name, is_so in signs.items() if is_so],
            known_at=capture.last.known_at,
        )
        return [surface]


def surface_output(surface: VolatilitySurface) -> Output:
    """The record of a surface."""
    return Output(SURFACE, surface.product.encode(), surface, surface.known_at)
