"""One partition of ``market.underlying``: records in; bars, gaps, rejects out; state as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from optionstream.schemas.derived import Bar, Gap
from optionstream.schemas.events import CandleFrame, Heartbeat, Tick, TickFrame
from optionstream.schemas.topics import GAPS, OHLC
from optionstream.streams.core.counts import Counts
from optionstream.streams.core.intake import (
    Incoming,
    MarketRecord,
    Output,
    Source,
    reject_events,
    reject_held,
)
from optionstream.streams.core.partition import Partition
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.ticks.bulk import read_ticks
from optionstream.streams.core.ticks.columns import Run
from optionstream.streams.core.ticks.product import ProductTicks
from optionstream.streams.core.ticks.session_ticks import Outcome
from optionstream.streams.core.ticks.snapshot import (
    HotTicks,
    block_prefix,
    hot_part,
    restored,
    take_blocks,
)

_SMALL_FRAME = 16
"""Ticks of a frame up to which it is worth joining it with the next ones."""
_WORTH_BULK = 8
"""Records from which on they are read at once."""


class _Hot(Struct, array_like=True):
    unread: Counts
    products: list[HotTicks]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Hot).decode


class TickPartition(Partition):
    """The products of one partition. A window is shown as a partial bar at most once in
    ``partial_every_ms`` of event time."""

    def __init__(self, source: Source, rules: Rules, partial_every_ms: int = 0) -> None:
        super().__init__(source, rules)
        self.partial_every_ms = partial_every_ms
        self.products: dict[str, ProductTicks] = {}
        self._runs: dict[str, Run] = {}
        self._outputs: list[Output] = []
        self._blocks: dict[str, set[str]] = {}
        """Names of the stored blocks, by product."""

    # -- records ----------------------------------------------------------------------------

    def apply(self, records: Sequence[Incoming]) -> list[Output]:
        """Apply records in log order; return what goes out."""
        runs = read_ticks(records, self.source) if len(records) >= _WORTH_BULK else None
        if runs is None:
            self._apply_each(records)
        else:
            for product, run in runs.items():
                self._apply_run(product, run)
        outputs, self._outputs = self._outputs, []
        return outputs

    def _apply_each(self, records: Sequence[Incoming]) -> None:
        for incoming in records:
            record = self.read_record(incoming)
            if isinstance(record, Output):
                self._outputs.append(record)
            else:
                self._take_record(record, incoming)
        for product in list(self._runs):
            self._end_run(product)

    def partials(self, *, quick: bool = False) -> list[Output]:
        """Return the bars of open windows that changed, with revision 0. ``quick``: of the
        shortest interval alone."""
        return [
            _bar_output(bar)
            for ticks in self.products.values()
            if ticks.current is not None
            for bar in ticks.current.bars.take_partials(
                self.partial_every_ms, ticks.known_at, shortest_only=quick
            )
        ]

    def _take_record(self, record: MarketRecord, incoming: Incoming) -> None:
        if isinstance(record, Tick):
            self._extend_run(record, record.seq is None, incoming)
        elif isinstance(record, TickFrame):
            self._extend_run(record, record.tick_id is not None, incoming)
            if len(record.ts_ms) > _SMALL_FRAME:
                self._end_run(record.product)
        elif isinstance(record, CandleFrame):
            self._end_run(record.product)
            ticks = self._ticks_of(record.product)
            run = Run(CandleFrame, record.source, record.session, False, [record], [incoming])
            self._emit_outcome(ticks, ticks.apply_candles(record, incoming.offset), run)
        elif isinstance(record, Heartbeat):
            self._end_run(record.product)
            ticks = self._ticks_of(record.product)
            self._emit_outcome(ticks, ticks.apply_heartbeat(record.ts_event, record.ts_recv), None)

    def _ticks_of(self, product: str) -> ProductTicks:
        ticks = self.products.get(product)
        if ticks is None:
            ticks = self.products[product] = ProductTicks(product, self.rules)
        return ticks

    def _extend_run(self, event: Tick | TickFrame, with_ids: bool, incoming: Incoming) -> None:
        """Add an event to the run that it continues, or start one."""
        run = self._runs.get(event.product)
        if (
            run is None
            or run.with_ids is not with_ids
            or run.source != event.source
            or run.session != event.session
            or run.kind is not type(event)
        ):
            self._end_run(event.product)
            run = Run(type(event), event.source, event.session, with_ids)
            self._runs[event.product] = run
        run.events.append(event)
        run.records.append(incoming)

    # -- applying ---------------------------------------------------------------------------

    def _end_run(self, product: str) -> None:
        """Apply the product's run, if there is one."""
        run = self._runs.pop(product, None)
        if run is not None:
            self._apply_run(product, run)

    def _apply_run(self, product: str, run: Run) -> None:
        ticks = self._ticks_of(product)
        self._emit_outcome(ticks, ticks.apply_ticks(run.columns(), run.place), run)

    def _emit_outcome(self, ticks: ProductTicks, outcome: Outcome, run: Run | None) -> None:
        self._outputs += [_bar_output(bar) for bar in outcome.bars]
        self._outputs += [_gap_output(gap) for gap in outcome.gaps]
        if run is not None:
            for reason, positions in outcome.refused.items():
                self._reject_events(run, reason, positions)
        key = ticks.product.encode()
        for event in outcome.late_held:
            self._outputs.append(reject_held(event, event.frame(ticks.product), key, self.source))

    def _reject_events(self, run: Run, reason: str, positions: list[int]) -> None:
        by_record: dict[int, list[int]] = {}
        for at in positions:
            index, position = run.find(at)
            by_record.setdefault(index, []).append(position)
        for index, indices in by_record.items():
            self._outputs.append(reject_events(run.records[index], self.source, reason, indices))

    # -- state ------------------------------------------------------------------------------

    def hot(self) -> bytes:
        """Return the part of the state that changes with every checkpoint."""
        return _encode(_Hot(self.unread, [hot_part(ticks) for ticks in self.products.values()]))

    def take_segments(self) -> dict[str, bytes | None]:
        """Return the segments changed since the last call, by name; None for those to delete."""
        changed: dict[str, bytes | None] = {}
        for product, ticks in self.products.items():
            if ticks.current is None:
                continue
            names = self._blocks.setdefault(product, set())
            prefix = block_prefix(ticks.current)
            for name in [name for name in names if not name.startswith(prefix)]:
                names.discard(name)
                changed[name] = None
            blocks = take_blocks(ticks.current)
            names.update(blocks)
            changed.update(blocks)
        return changed

    def restore(self, hot: bytes, segments: Mapping[str, bytes]) -> None:
        """Restore the state saved as ``hot`` and ``segments``."""
        state = _decode(hot)
        self.unread = state.unread
        self.products, self._blocks = {}, {}
        for name in segments:
            self._blocks.setdefault(name.split("|", 1)[0], set()).add(name)
        for part in state.products:
            names = self._blocks.get(part.product, set())
            self.products[part.product] = restored(
                part, [segments[name] for name in sorted(names)], self.rules
            )


def _bar_output(bar: Bar) -> Output:
    return Output(OHLC, bar.product.encode(), bar, bar.known_at)


def _gap_output(gap: Gap) -> Output:
    return Output(GAPS, gap.product.encode(), gap, gap.known_at)
