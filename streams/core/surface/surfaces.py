"""Put the surfaces of one product together from its analysed chains, in the order of acceptance.

Implements docs/semantics.md ("Volatility surfaces").
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from optionstream.schemas.derived import ChainAnalytics, IvMode, Smile, VolatilitySurface
from optionstream.schemas.times import DAY_MS, IST_OFFSET_MS
from optionstream.schemas.topics import CHAIN, SURFACE, chain_key
from optionstream.streams.core.intake import Output
from optionstream.streams.core.surface.grid import LOG_MONEYNESS, TENORS_DAYS, grid_of
from optionstream.streams.core.surface.smile import smile_of

CALENDAR_ARBITRAGE: Final = "calendar_arbitrage"
INCOMPLETE_CAPTURE: Final = "incomplete_capture"

Version = tuple[int, int, str]
"""Orders the chains of one expiry: exchange time, receipt, id."""


class NewestSmile(Struct, array_like=True, frozen=True):
    """The newest chain of an expiry: its smile, or the reason why it has none."""

    version: Version
    smile: Smile | str


class LastChain(Struct, array_like=True, frozen=True):
    """What a surface takes from the last chain that joined it."""

    expiry: str
    snapshot_id: str
    iv_mode: IvMode
    known_at: int


class Capture(Struct, array_like=True):
    """Chains fetched together, until all have come; ``last`` is None while none of them was newer
    than the newest of its expiry."""

    id: str
    expiries_in_capture: int
    expiries: list[str]
    last: LastChain | None = None


class Moment(Struct, array_like=True):
    """What changes with every chain. ``day`` counts IST days from 1970; ``capture`` waits for the
    rest of its chains."""

    day: int = 0
    number: int = 0
    capture: Capture | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(NewestSmile).decode


class ProductSurfaces:
    """The newest smiles of one product's day, and the surfaces made of them."""

    def __init__(self, moment: Moment | None = None) -> None:
        self.moment = Moment() if moment is None else moment
        self._newest: dict[str, NewestSmile] = {}
        self._stored: set[str] = set()
        """Expiries that have a segment."""
        self._changed: set[str] = set()
        """Expiries that changed since they were last stored."""

    def add_chain(self, chain: ChainAnalytics) -> list[VolatilitySurface]:
        """Add the next chain of the product; return the surfaces that go out: none, one, or two,
        the first of them of a capture that was not completed."""
        moment, day = self.moment, (chain.ts_event + IST_OFFSET_MS) // DAY_MS
        version = chain.ts_event, chain.ts_recv, chain.snapshot_id
        newest = self._newest.get(chain.expiry)
        if day < moment.day or (newest is not None and version < newest.version):
            return []
        ended = self._end_other_capture(chain, day)
        if day > moment.day:
            self._newest, self._changed = {}, set()
            self.moment = Moment(day)
        is_newer = newest is None or version > newest.version
        if is_newer:
            self._newest[chain.expiry] = NewestSmile(version, smile_of(chain))
            self._changed.add(chain.expiry)
        return [*ended, *self._join_capture(chain, is_newer)]

    def finish(self, product: str) -> list[VolatilitySurface]:
        """Return the surface of a capture that is incomplete, where no chain will follow."""
        capture, self.moment.capture = self.moment.capture, None
        return [] if capture is None else self._surfaces(product, capture)

    def take_segments(self) -> dict[str, bytes | None]:
        """Return the stored form of the expiries that changed since the last call; None for those
        that are gone."""
        segments: dict[str, bytes | None] = dict.fromkeys(self._stored - self._newest.keys())
        segments |= {expiry: _encode(self._newest[expiry]) for expiry in self._changed}
        self._stored, self._changed = set(self._newest), set()
        return segments

    def restore(self, expiry: str, data: bytes) -> None:
        """Restore the stored smile of one expiry."""
        self._newest[expiry] = _decode(data)
        self._stored.add(expiry)

    def _join_capture(self, chain: ChainAnalytics, is_newer: bool) -> list[VolatilitySurface]:
        """Return the surface that the chain completes."""
        capture = self.moment.capture
        if capture is None:
            capture = Capture(chain.capture_id, chain.expiries_in_capture, [])
        if chain.expiry not in capture.expiries:
            capture.expiries.append(chain.expiry)
        if is_newer:
            last = LastChain(chain.expiry, chain.snapshot_id, chain.iv_mode, chain.known_at)
            capture.last = last
        is_complete = len(capture.expiries) >= capture.expiries_in_capture
        self.moment.capture = None if is_complete else capture
        return self._surfaces(chain.product, capture) if is_complete else []

    def _end_other_capture(self, chain: ChainAnalytics, day: int) -> list[VolatilitySurface]:
        """Return the surface of the waiting capture, if the chain is not part of it."""
        capture = self.moment.capture
        if capture is None or (capture.id == chain.capture_id and day == self.moment.day):
            return []
        return self.finish(chain.product)

    def _surfaces(self, product: str, capture: Capture) -> list[VolatilitySurface]:
        """Return one surface; none if no chain of the capture was newer."""
        if capture.last is None:
            return []
        self.moment.number += 1
        smiles = [
            one.smile for _, one in sorted(self._newest.items()) if isinstance(one.smile, Smile)
        ]
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
            ts_event=max(one.version[0] for one in self._newest.values()),
            ts_recv=max(one.version[1] for one in self._newest.values()),
            iv_mode=capture.last.iv_mode,
            capture_id=capture.id,
            expiries_in_capture=capture.expiries_in_capture,
            expiries_captured=len(capture.expiries),
            smiles=smiles,
            left_out={
                expiry: one.smile
                for expiry, one in sorted(self._newest.items())
                if isinstance(one.smile, str)
            },
            tenors_days=list(TENORS_DAYS),
            log_moneyness=list(LOG_MONEYNESS),
            iv=[iv for iv, _ in grid.rows],
            reason=[reason for _, reason in grid.rows],
            flags=[name for name, is_so in signs.items() if is_so],
            known_at=capture.last.known_at,
        )
        return [surface]


def chain_outputs(chain: ChainAnalytics, surfaces: ProductSurfaces) -> list[Output]:
    """Return the records of a chain and of the surfaces of its product that it completes."""
    product, key = chain.product.encode(), chain_key(chain.product, chain.expiry).encode()
    return [
        Output(CHAIN, key, chain, chain.known_at),
        *(Output(SURFACE, product, one, one.known_at) for one in surfaces.add_chain(chain)),
    ]
