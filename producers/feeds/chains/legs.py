"""Gather option legs into chain snapshots, for every format that has chains. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from operator import attrgetter
from typing import Final, NamedTuple, TypeGuard

from msgspec import Struct
from msgspec.structs import replace

from optionstream.producers.feeds.files.content import content_id
from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.frames import check_event
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot, Legs, OiUnit, OptionKind
from optionstream.schemas.times import rfc3339


class Leg(Struct, frozen=True, gc=False):
    """One contract of a chain, its fields in the order of ``schemas.events.Legs``."""

    oi: float | None = None
    oi_change: float | None = None
    volume: float | None = None
    iv: float | None = None
    last: float | None = None
    bid: float | None = None
    ask: float | None = None


NO_LEG: Final = Leg()
_KINDS: Final[dict[str, OptionKind]] = {"CE": "CE", "PE": "PE"}


def make_leg(
    oi: float | None = None,
    oi_change: float | None = None,
    volume: float | None = None,
    iv: float | None = None,
    last: float | None = None,
    bid: float | None = None,
    ask: float | None = None,
) -> Leg:
    """Return a leg as its source states it; a price or an implied volatility of 0 is None."""
    return Leg(oi, oi_change, volume, iv or None, last or None, bid or None, ask or None)


def option_kind(text: str) -> OptionKind:
    """Return the kind for ``CE`` or ``PE`` in any case. Raises ValueError."""
    kind = _KINDS.get(text.strip().upper())
    if kind is None:
        raise ValueError(f"{text!r} is neither CE nor PE")
    return kind


class ChainKey(NamedTuple):
    """Identity of a snapshot: UTC epoch ms, product, ISO expiry. Snapshots come in this order."""

    ts_event: int
    product: str
    expiry: str


class TableLeg(NamedTuple):
    """One leg of row ``number`` of a table."""

    number: int
    key: ChainKey
    strike: float | None
    kind: OptionKind
    leg: Leg
    spot: float | None


@dataclass(frozen=True, slots=True)
class Times:
    """Order of a table's times, read before its rows: never falling; more than one."""

    rising: bool
    several: bool


_Pair = tuple[Leg | None, Leg | None]
"""Call and put of one strike."""
Spots = Counter[float]


def times_of(times: Iterable[int]) -> Times:
    """Describe times (epoch ms) given in the order of the rows; neighbours may be equal."""
    first: int | None = None
    last = 0
    rising, several = True, False
    for at in times:
        if first is None:
            first = last = at
        rising = rising and at >= last
        several = several or at != first
        last = at
    return Times(rising, several)


def most_frequent(spots: Spots) -> float | None:
    """Return the underlying price that most legs have, of equals the first."""
    return spots.most_common(1)[0][0] if spots else None


class ChainBook:
    """Gathers the legs of one file by snapshot and strike.

    Of a leg given twice the first counts. That, and every snapshot that breaks the rules of
    ``schemas.checks``, is reported as a problem. ``underlying`` chooses a snapshot's underlying
    price from those of its legs.
    """

    def __init__(
        self,
        source: str,
        oi_unit: OiUnit,
        file: FeedInput,
        underlying: Callable[[Spots], float | None] = most_frequent,
    ) -> None:
        self._source = source
        self._oi_unit: OiUnit = oi_unit
        self._file = file
        self._problems = file.problems
        self._underlying = underlying
        self._chains: dict[ChainKey, dict[float, _Pair]] = {}
        self._spots: dict[ChainKey, Spots] = {}

    def add_row(
        self,
        number: int,
        key: ChainKey,
        strike: float | None,
        call: Leg | None,
        put: Leg | None,
        spots: Iterable[float | None] = (),
    ) -> None:
        """Add both legs of a strike from row ``number``."""
        if not self._usable(strike, number):
            return
        pairs = self._pairs(key)
        if strike in pairs:
            self._problems.append(
                f"row {number}: strike {strike:g} of {key.expiry} again; the first one counts"
            )
            return
        pairs[strike] = call, put
        counts = self._spots[key]
        for spot in spots:
            if spot:
                counts[spot] += 1

    def add_leg(
        self,
        number: int,
        key: ChainKey,
        strike: float | None,
        kind: OptionKind,
        leg: Leg,
        spot: float | None = None,
    ) -> None:
        """Add one leg of a strike from row ``number``."""
        if not self._usable(strike, number):
            return
        pairs = self._pairs(key)
        call, put = pairs.get(strike, (None, None))
        if (call if kind == "CE" else put) is not None:
            self._problems.append(
                f"row {number}: {strike:g} {kind} of {key.expiry} again; the first one counts"
            )
            return
        pairs[strike] = (leg, put) if kind == "CE" else (call, leg)
        if spot:
            self._spots[key][spot] += 1

    def snapshots(self, body: bytes) -> list[ChainSnapshot]:
        """Return the checked snapshots by time, product and expiry. Raises InputError for none."""
        chains = self._take_snapshots(content_id(body))
        self._need_snapshots(len(chains))
        return chains

    def stream_snapshots(
        self, legs: Iterable[TableLeg], times: Times, capture: str
    ) -> Iterator[ChainSnapshot]:
        """Yield the snapshots of a table that may be longer than memory.

        If the times of the rows rise, a snapshot is complete when the next time starts, and only
        the legs of one time are held. Else all rows are gathered first. ``capture`` is the body's
        id. Raises InputError at the end if there was no snapshot.
        """
        current_ms, made = -1, 0
        for leg in legs:
            if times.rising and leg.key.ts_event != current_ms:
                for chain in self._take_snapshots(capture, times.several):
                    made += 1
                    yield chain
                current_ms = leg.key.ts_event
            self.add_leg(*leg)
        for chain in self._take_snapshots(capture, times.several if times.rising else None):
            made += 1
            yield chain
        self._need_snapshots(made)

    def _take_snapshots(self, capture: str, several: bool | None = None) -> list[ChainSnapshot]:
        """Return the snapshots gathered since the last call, perhaps none.

        ``several`` says if the body has snapshots of several times, None if all were gathered.
        """
        shown = len({key.ts_event for key in self._chains}) > 1 if several is None else several
        chains: list[ChainSnapshot] = []
        for key in sorted(self._chains):
            try:
                chains.append(check_event(self._snapshot(key)))
            except RecordError as error:
                at = f" at {rfc3339(key.ts_event)}" if shown else ""
                self._problems.append(f"expiry {key.expiry}{at}: {error}")
        self._chains, self._spots = {}, {}
        return _captured(chains, capture, several)

    def _need_snapshots(self, count: int) -> None:
        if not count:
            why = f"no usable expiry; {self._problems[0]}" if self._problems else "no rows"
            raise self._file.error(why)

    def _usable(self, strike: float | None, number: int) -> TypeGuard[float]:
        usable = strike is not None and isfinite(strike) and strike > 0
        if not usable:
            shown = "is missing" if strike is None else f"{strike:g} is not positive"
            self._problems.append(f"row {number}: strike {shown}")
        return usable

    def _pairs(self, key: ChainKey) -> dict[float, _Pair]:
        if key not in self._chains:
            self._chains[key], self._spots[key] = {}, Counter()
        return self._chains[key]

    def _snapshot(self, key: ChainKey) -> ChainSnapshot:
        pairs, spots = self._chains[key], self._spots[key]
        strikes = sorted(pairs)
        return ChainSnapshot(
            product=key.product,
            expiry=key.expiry,
            source=self._source,
            ts_event=key.ts_event,
            ts_recv=key.ts_event,
            oi_unit=self._oi_unit,
            strikes=strikes,
            calls=_columns([pairs[strike][0] or NO_LEG for strike in strikes]),
            puts=_columns([pairs[strike][1] or NO_LEG for strike in strikes]),
            underlying_price=self._underlying(spots),
            mixed_underlying=len(spots) > 1,
        )


def _columns(legs: list[Leg]) -> Legs:
    return Legs(*(list(map(attrgetter(name), legs)) for name in LEG_COLUMNS))


def _captured(
    chains: list[ChainSnapshot], body_id: str, several: bool | None
) -> list[ChainSnapshot]:
    """Give the snapshots of one instant one capture: the body, or the instant's part of it."""
    sizes = Counter(chain.ts_event for chain in chains)
    parted = len(sizes) > 1 if several is None else several
    return [
        replace(
            chain,
            capture_id=f"{body_id}-{chain.ts_event}" if parted else body_id,
            expiries_in_capture=sizes[chain.ts_event],
        )
        for chain in chains
    ]
