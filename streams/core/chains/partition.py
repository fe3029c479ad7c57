"""One partition of ``market.option_chain``: snapshots in, analytics and rejects out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from optionstream.schemas import rejects
from optionstream.schemas.derived import ChainAnalytics
from optionstream.schemas.errors import RecordError
from optionstream.schemas.events import ChainSnapshot
from optionstream.schemas.identity import snapshot_id
from optionstream.streams.core.chains.analyse import Accepted, ExpiryChains, analyse
from optionstream.streams.core.counts import Counts
from optionstream.streams.core.indicators import NO_INDICATORS, Indicators
from optionstream.streams.core.intake import Incoming, Output, Refused, Source
from optionstream.streams.core.partition import Partition
from optionstream.streams.core.ranges import RangeSet
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.surface.surfaces import Moment, ProductSurfaces, chain_outputs

HORIZON: Final = 1_024
"""Snapshots remembered for each product and expiry, where the source numbers nothing."""
_IDS: Final = "ids"
_CHAINS: Final = "chains"
_SMILES: Final = "smiles"
LABELS: Final = 2
"""Session labels remembered for each product and source that numbers its snapshots."""


class _HotProduct(Struct, array_like=True):
    product: str
    counts: Counts
    known_at: int
    seen: list[tuple[str, list[tuple[str, list[tuple[int, int]]]]]]
    """source → session labels in the order they began → ranges of seq."""
    surfaces: Moment = msgspec.field(default_factory=Moment)


class _Hot(Struct, array_like=True):
    unread: Counts
    products: list[_HotProduct]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Hot).decode
_decode_ids = msgspec.msgpack.Decoder(list[str]).decode


class ProductChains:
    """The chains of one product: what was seen of them, and what follows from the last ones."""

    def __init__(self, product: str) -> None:
        self.product = product
        self.counts = Counts()
        self.known_at = 0
        self.numbered: dict[str, OrderedDict[str, RangeSet]] = {}
        self.unnumbered: dict[str, OrderedDict[str, None]] = {}
        """By expiry, snapshot ids in the order they came."""
        self.expiries: dict[str, ExpiryChains] = {}
        """By expiry, what is remembered of its snapshots."""
        self.surfaces = ProductSurfaces()
        self.changed_ids: set[str] = set()
        """Expiries whose ids changed since they were last stored."""
        self.changed_chains: set[str] = set()
        """Expiries of which a snapshot was accepted since they were last stored."""

    def see_chain(self, chain: ChainSnapshot) -> bool:
        """Note a snapshot; False if it was seen within the horizon."""
        if chain.seq is not None:
            labels = self.numbered.setdefault(chain.source, OrderedDict())
            seen = labels.get(chain.session)
            if seen is None:
                seen = labels[chain.session] = RangeSet()
                if len(labels) > LABELS:
                    labels.popitem(last=False)
            return seen.add_number(chain.seq)
        ids = self.unnumbered.setdefault(chain.expiry, OrderedDict())
        identity = snapshot_id(chain)
        if identity in ids:
            return False
        ids[identity] = None
        if len(ids) > HORIZON:
            ids.popitem(last=False)
        self.changed_ids.add(chain.expiry)
        return True

    def chains_of(self, expiry: str) -> ExpiryChains:
        """Return the memory of one expiry, to which a snapshot is about to be added."""
        self.changed_chains.add(expiry)
        chains = self.expiries.get(expiry)
        if chains is None:
            chains = self.expiries[expiry] = ExpiryChains()
        return chains


class ChainPartition(Partition):
    """The products of one partition."""

    def __init__(
        self, source: Source, rules: Rules, indicators: Indicators = NO_INDICATORS
    ) -> None:
        super().__init__(source, rules)
        self.indicators = indicators
        self.products: dict[str, ProductChains] = {}

    def apply(self, records: Sequence[Incoming]) -> list[Output]:
        """Apply records in log order; return what goes out."""
        found: list[Output | Accepted] = []
        for incoming in records:
            record = self.read_record(incoming)
            if isinstance(record, ChainSnapshot):
                found += self._accept_chain(record, incoming)
            else:
                assert isinstance(record, Output)
                found.append(record)
        accepted = [one for one in found if isinstance(one, Accepted)]
        analysed = iter(analyse(accepted, self.rules, self.indicators))
        outputs: list[Output] = []
        for one in found:
            outputs += self._chain_outputs(next(analysed)) if isinstance(one, Accepted) else [one]
        return outputs

    def _chain_outputs(self, chain: ChainAnalytics) -> list[Output]:
        return chain_outputs(chain, self.products[chain.product].surfaces)

    def _accept_chain(
        self, chain: ChainSnapshot, incoming: Incoming
    ) -> Sequence[Output | Accepted]:
        """Return what is to be analysed, or the reject; nothing for a chain seen before."""
        reason = self._time_fault(chain)
        if reason is not None:
            error = RecordError(reason, rejects.MEANING[reason])
            return [self.refuse_record(incoming, Refused(error, 1))]
        state = self.products.get(chain.product)
        if state is None:
            state = self.products[chain.product] = ProductChains(chain.product)
        state.known_at = max(state.known_at, chain.ts_recv)
        if not state.see_chain(chain):
            state.counts.duplicates += 1
            return []
        state.counts.accepted += 1
        return [Accepted(state.chains_of(chain.expiry), chain, state.known_at)]

    def _time_fault(self, chain: ChainSnapshot) -> str | None:
        """Return the reason for which a chain's time is refused (docs/semantics.md, "Chains"): of
        a chain its distance from the receipt is judged first."""
        ts = chain.ts_event
        if self.rules.is_future(ts, chain.ts_recv):
            return rejects.FUTURE_EVENT
        return self.rules.fault(ts, chain.ts_recv, None)

    # -- state ------------------------------------------------------------------------------

    def hot(self) -> bytes:
        """Return the part of the state that changes with every checkpoint."""
        return _encode(_Hot(self.unread, [_hot_product(state) for state in self.products.values()]))

    def take_segments(self) -> dict[str, bytes | None]:
        """Return the segments changed since the last call, by name; None for those to delete."""
        changed: dict[str, bytes | None] = {}
        for product, state in self.products.items():
            for expiry in state.changed_ids:
                name = f"{_IDS}|{product}|{expiry}"
                changed[name] = _encode(list(state.unnumbered[expiry]))
            for expiry in state.changed_chains:
                changed[f"{_CHAINS}|{product}|{expiry}"] = state.expiries[expiry].pack()
            for expiry, smile in state.surfaces.take_segments().items():
                changed[f"{_SMILES}|{product}|{expiry}"] = smile
            state.changed_ids, state.changed_chains = set(), set()
        return changed

    def restore(self, hot: bytes, segments: Mapping[str, bytes]) -> None:
        """Restore the state saved as ``hot`` and ``segments``."""
        stored = _decode(hot)
        self.unread = stored.unread
        self.products = {part.product: _product(part) for part in stored.products}
        for name, data in segments.items():
            part, product, expiry = name.split("|")
            state = self.products[product]
            if part == _IDS:
                state.unnumbered[expiry] = OrderedDict.fromkeys(_decode_ids(data))
            elif part == _SMILES:
                state.surfaces.restore(expiry, data)
            else:
                state.expiries[expiry] = ExpiryChains.unpack(data)


def _hot_product(state: ProductChains) -> _HotProduct:
    seen = [
        (source, [(label, ranges.ranges()) for label, ranges in labels.items()])
        for source, labels in state.numbered.items()
    ]
    moment = state.surfaces.moment
    return _HotProduct(state.product, state.counts, state.known_at, seen, moment)


def _product(part: _HotProduct) -> ProductChains:
    state = ProductChains(part.product)
    state.counts, state.known_at = part.counts, part.known_at
    state.surfaces = ProductSurfaces(part.surfaces)
    state.numbered = {
        source: OrderedDict((label, RangeSet(ranges)) for label, ranges in labels)
        for source, labels in part.seen
    }
    return state
