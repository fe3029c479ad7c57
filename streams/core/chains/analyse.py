"""Analyse chain snapshots (docs/semantics.md, "Chains")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from optionstream.schemas.derived import ChainAnalytics
from optionstream.schemas.events import ChainSnapshot
from optionstream.schemas.identity import snapshot_id
from optionstream.streams.core.chains.history import (
    Baseline,
    Memory,
    Row,
    baseline,
    compare,
    decode_memory,
    encode_memory,
    remember,
)
from optionstream.streams.core.chains.interest import interest
from optionstream.streams.core.chains.priced import price
from optionstream.streams.core.chains.record import Analysed, record
from optionstream.streams.core.chains.table import normalised, table_of
from optionstream.streams.core.indicators import NO_INDICATORS, Indicators, run
from optionstream.streams.core.market.contracts import chain_width
from optionstream.streams.core.rules import Rules

_USUAL_WIDTH: Final = 21
"""Strikes of a chain of a product without a chain width in the contract facts."""
_MOST_STACKED: Final = 16
"""Chains in one table: larger ones are no faster, and their arrays leave the cache."""


class ExpiryChains:
    """The snapshots of one product and expiry, in the order in which they are accepted."""

    def __init__(self) -> None:
        self.memory = Memory()

    def analyse(
        self,
        chain: ChainSnapshot,
        rules: Rules,
        known_at: int,
        indicators: Indicators = NO_INDICATORS,
        oldest_leg_ms: int | None = None,
    ) -> ChainAnalytics:
        """Return the analytics of the next snapshot alone, as `analyse`."""
        return analyse([Accepted(self, chain, known_at, oldest_leg_ms)], rules, indicators)[0]

    def pack(self) -> bytes:
        """Return what is remembered, as bytes."""
        return encode_memory(self.memory)

    @staticmethod
    def unpack(data: bytes) -> ExpiryChains:
        """Restore what was saved by ``pack``."""
        chains = ExpiryChains()
        chains.memory = decode_memory(data)
        return chains


class Accepted(NamedTuple):
    """A snapshot that joins those of its expiry; ``oldest_leg_ms`` is the age of the oldest quote
    of a chain assembled from quotes."""

    expiry: ExpiryChains
    chain: ChainSnapshot
    known_at: int
    oldest_leg_ms: int | None = None


def analyse(
    accepted: Sequence[Accepted], rules: Rules, indicators: Indicators = NO_INDICATORS
) -> list[ChainAnalytics]:
    """Return the analytics of snapshots, each remembered for those after it; the same to the last
    bit whether they are analysed together or one by one."""
    stacks = _stacks(accepted)
    for stack in stacks:
        stack.remember_next()
    records = {stack: iter(stack.records(rules)) for stack in dict.fromkeys(stacks)}
    analysed = [next(records[stack]) for stack in stacks]
    return [_with_indicators(one, indicators) for one in analysed] if indicators else analysed


def _stacks(accepted: Sequence[Accepted]) -> list[_Stack]:
    """Return the stack that each snapshot is in."""
    by_strikes: dict[int, list[int]] = {}
    for place, one in enumerate(accepted):
        by_strikes.setdefault(len(one.chain.strikes), []).append(place)
    stack_of: dict[int, _Stack] = {}
    for all_places in by_strikes.values():
        for at in range(0, len(all_places), _MOST_STACKED):
            places = all_places[at : at + _MOST_STACKED]
            stack_of.update(dict.fromkeys(places, _Stack([accepted[place] for place in places])))
    return [stack_of[place] for place in range(len(accepted))]


class _Stack:
    """Snapshots in one table, in their order."""

    def __init__(self, accepted: Sequence[Accepted]) -> None:
        self._accepted = accepted
        self._chains = [one.chain for one in accepted]
        self._table = table_of(self._chains)
        self._identities = [snapshot_id(chain) for chain in self._chains]
        self._baselines: list[Baseline] = []

    def remember_next(self) -> None:
        """Remember the next snapshot, and note what it is to be compared with."""
        at = len(self._baselines)
        memory = self._accepted[at].expiry.memory
        content = self._identities[at].rpartition("-")[2]
        row = Row.of(self._chains[at], content, self._table, at)
        self._baselines.append(baseline(memory, row))
        remember(memory, row)

    def records(self, rules: Rules) -> list[ChainAnalytics]:
        """Return the analytics of all snapshots, once all are remembered."""
        table, compared = self._table, compare(self._table, self._baselines)
        priced = price(self._chains, table, rules.iv_mode)
        near = [(chain_width(chain.product) or _USUAL_WIDTH) // 2 for chain in self._chains]
        analysed = Analysed(
            table=table,
            compared=compared,
            ids=self._identities,
            priced=priced.chains,
            interest=interest(table, compared, [one.atm for one in priced.chains], near),
            legs=normalised(self._chains, table),
            greeks=priced.greeks(table, compared.oi_intraday),
            near=near,
        )
        return [
            record(one.chain, one.known_at, one.oldest_leg_ms, analysed, at, rules)
            for at, one in enumerate(self._accepted)
        ]


def _with_indicators(record: ChainAnalytics, indicators: Indicators) -> ChainAnalytics:
    numbers, failed = run(indicators, record)
    return msgspec.structs.replace(
        record, custom_indicators=numbers, null_reasons={**record.null_reasons, **failed}
    )


class ChainAnalyser:
    """Analytics without servers: snapshots of any products and expiries, one after the other, each
    known at its receipt.

    Nothing is refused as a repetition: what the stream would drop is flagged or shown again.
    """

    def __init__(self, rules: Rules, indicators: Indicators = NO_INDICATORS) -> None:
        self._rules = rules
        self._indicators = indicators
        self._expiries: dict[tuple[str, str], ExpiryChains] = {}

    def analyse(self, chain: ChainSnapshot) -> ChainAnalytics:
        """Return the analytics of the next snapshot."""
        chains = self._expiries.setdefault((chain.product, chain.expiry), ExpiryChains())
        return chains.analyse(chain, self._rules, chain.ts_recv, self._indicators)
