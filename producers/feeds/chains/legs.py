"""Option legs on their way into chain snapshots, for every format that has chains. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from math import isfinite
from operator import attrgetter
from typing import Final, NamedTuple, TypeGuard

from msgspec import Struct
from msgspec.structs import replace

from optionstream.producers.feeds.checked import check_event
from optionstream.producers.feeds.files.content import content_id
from optionstream.schemas.errors import InputError, RecordError
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
    """A leg as its source tells it: a price or an implied volatility of 0 is none."""
    return Leg(oi, oi_change, volume, iv or None, last or None, bid or None, ask or None)


def option_kind(text: str) -> OptionKind:
    """Raises ValueError for anything but ``CE`` and ``PE``."""
    kind = _KINDS.get(text.strip().upper())
    if kind is None:
        raise ValueError(f"{text!r} is neither CE nor PE")
    return kind


class ChainKey(NamedTuple):
    """Which snapshot: UTC epoch ms, product, ISO expiry. Snapshots come in this order."""

    ts_event: int
    product: str
    expiry: str


_Pair = tuple[Leg | None, Leg | None]
"""Call and put of one strike."""
Spots = Counter[float]


def most_told(spots: Spots) -> float | None:
    """The underlying price that most legs told, of equals the first."""
    return spots.most_common(1)[0][0] if spots else None


class ChainBook:
    """Gathers the legs of one body by snapshot and strike.

    Of a leg given twice the first counts; that, and every snapshot that breaks the rules of
    ``schemas.checks``, is told in ``problems``. ``underlying`` chooses a snapshot's underlying
    price from those that its legs told.
    """

    def __init__(
        self,
        source: str,
        oi_unit: OiUnit,
        problems: list[str],
        underlying: Callable[[Spots], float | None] = most_told,
    ) -> None:
        self._source = source
        self._oi_unit: OiUnit = oi_unit
        self._problems = problems
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
        """Both legs of a strike, as row ``number`` tells them."""
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
        told: Leg,
        spot: float | None = None,
    ) -> None:
        """One leg of a strike, as row ``number`` tells it."""
        if not self._usable(strike, number):
            return
        pairs = self._pairs(key)
        call, put = pairs.get(strike, (None, None))
        if (call if kind == "CE" else put) is not None:
            self._problems.append(
                f"row {number}: {strike:g} {kind} of {key.expiry} again; the first one counts"
            )
            return
        pairs[strike] = (told, put) if kind == "CE" else (call, told)
        if spot:
            self._spots[key][spot] += 1

    def snapshots(self, body: bytes, name: str) -> list[ChainSnapshot]:
        """The checked snapshots by time, product and expiry. Raises InputError for none."""
        chains = self.taken(content_id(body))
        self.at_least(len(chains), name)
        return chains

    def taken(self, capture: str, several: bool | None = None) -> list[ChainSnapshot]:
        """The same of what was gathered since the last call, and perhaps none. ``capture`` is the
        body's id; ``several`` says whether the body has snapshots of several times, where not all
        of them were gathered."""
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

    def at_least(self, count: int, name: str) -> None:
        """Raises InputError, with the first problem, when no snapshot was made."""
        if not count:
            why = f"no expiry can be used; {self._problems[0]}" if self._problems else "no rows"
            raise InputError(name, why)

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
    """Snapshots of one instant share a capture: the body, or the instant's part of it."""
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
