"""One partition of ``market.underlying``: records in; bars, gaps, rejects out; state as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from optionstream.schemas import codec, rejects
from optionstream.schemas.derived import Bar, Gap, Reject
from optionstream.schemas.events import CandleFrame, Heartbeat, Tick, TickFrame
from optionstream.schemas.topics import GAPS, OHLC, REJECTS
from optionstream.streams.core.counts import Counts
from optionstream.streams.core.intake import (
    Incoming,
    MarketRecord,
    Output,
    Refused,
    Source,
    read,
    reject,
)
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.ticks.bulk import TickGroup, read_ticks
from optionstream.streams.core.ticks.columns import Run
from optionstream.streams.core.ticks.product import ProductTicks
from optionstream.streams.core.ticks.session_ticks import Outcome
from optionstream.streams.core.ticks.singles import Single
from optionstream.streams.core.ticks.snapshot import (
    HotTicks,
    block_prefix,
    hot_part,
    restored,
    take_blocks,
)

_SMALL_FRAME = 16
_WORTH_BULK = 8


class _Hot(Struct, array_like=True):
    unread: Counts
    products: list[HotTicks]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Hot).decode


class TickPartition:
    """The products of one partition. Not shared between threads."""

    def __init__(self, source: Source, rules: Rules, partial_every_ms: int = 0) -> None:
        self.source = source
        self.rules = rules
        self.partial_every_ms = partial_every_ms
        self.products: dict[str, ProductTicks] = {}
        self.unread = Counts()
        """Counts of records that belong to no product's state."""
        self._runs: dict[str, Run] = {}
        self._outputs: list[Output] = []
        self._blocks: dict[str, set[str]] = {}
        """Names of the stored blocks, by product."""

    # -- records ----------------------------------------------------------------------------

    def apply(self, records: Sequence[Incoming]) -> list[Output]:
        """Apply records in log order; returns what goes out."""
        groups = read_ticks(records, self.source) if len(records) >= _WORTH_BULK else None
        if groups is None:
            self._apply_each(records)
        else:
            for group in groups:
                self._apply_group(group)
        outputs, self._outputs = self._outputs, []
        return outputs

    def _apply_group(self, group: TickGroup) -> None:
        first = group.ticks[0]
        run = Run(Tick, first.source, first.session, first.seq is None)
        run.events, run.records = group.ticks, group.records
        self._apply_run(group.product, run)

    def _apply_each(self, records: Sequence[Incoming]) -> None:
        for incoming in records:
            try:
                record = read(incoming, self.source)
            except Refused as error:
                self._refuse_record(incoming, error)
            else:
                self._take(record, incoming)
        for product in list(self._runs):
            self._flush(product)

    def partials(self, *, quick: bool = False) -> list[Output]:
        """The bars of open windows that changed: a view of the moment, of each window at most once
        in ``partial_every_ms`` of event time. ``quick``: of the minutes alone."""
        return [
            _bar_output(bar)
            for ticks in self.products.values()
            if ticks.current is not None
            for bar in ticks.current.bars.take_partials(
                self.partial_every_ms, ticks.known_at, quick=quick
            )
        ]

    def _refuse_record(self, incoming: Incoming, error: Refused) -> None:
        self.unread.add_reject(error.reason, error.events)
        self._outputs.append(
            reject(incoming, self.source, error.reason, error.detail, error.events)
        )

    def _take(self, record: MarketRecord, incoming: Incoming) -> None:
        if isinstance(record, Tick):
            self._gather(record, record.seq is None, incoming)
        elif isinstance(record, TickFrame):
            self._gather(record, record.tick_id is not None, incoming)
            if len(record.ts_ms) > _SMALL_FRAME:
                self._flush(record.product)
        elif isinstance(record, CandleFrame):
            self._flush(record.product)
            ticks = self._ticks(record.product)
            run = Run(CandleFrame, record.source, record.session, False, [record], [incoming])
            self._emit(ticks, ticks.apply_candles(record, incoming.offset), run)
        elif isinstance(record, Heartbeat):
            self._flush(record.product)
            ticks = self._ticks(record.product)
            self._emit(ticks, ticks.heartbeat(record.ts_event, record.ts_recv), None)

    def _ticks(self, product: str) -> ProductTicks:
        ticks = self.products.get(product)
        if ticks is None:
            ticks = self.products[product] = ProductTicks(product, self.rules)
        return ticks

    def _gather(self, event: Tick | TickFrame, with_ids: bool, incoming: Incoming) -> None:
        """Put an event into the run that it continues, or begin one."""
        run = self._runs.get(event.product)
        if (
            run is None
            or run.with_ids is not with_ids
            or run.source != event.source
            or run.session != event.session
            or run.kind is not type(event)
        ):
            self._flush(event.product)
            run = Run(type(event), event.source, event.session, with_ids)
            self._runs[event.product] = run
        run.events.append(event)
        run.records.append(incoming)

    # -- applying ---------------------------------------------------------------------------

    def _flush(self, product: str) -> None:
        """Apply the product's run, if there is one."""
        run = self._runs.pop(product, None)
        if run is not None:
            self._apply_run(product, run)

    def _apply_run(self, product: str, run: Run) -> None:
        ticks = self._ticks(product)
        self._emit(ticks, ticks.apply(run.columns(), run.place), run)

    def _emit(self, ticks: ProductTicks, outcome: Outcome, run: Run | None) -> None:
        self._outputs += [_bar_output(bar) for bar in outcome.bars]
        self._outputs += [_gap_output(gap) for gap in outcome.gaps]
        if run is not None:
            for reason, positions in outcome.refused.items():
                self._refuse_events(run, reason, positions)
        for event in outcome.late_waiting:
            self._outputs.append(self._waiting_reject(ticks.product, event))

    def _refuse_events(self, run: Run, reason: str, positions: list[int]) -> None:
        by_record: dict[int, list[int]] = {}
        for at in positions:
            index, position = run.find(at)
            by_record.setdefault(index, []).append(position)
        detail = rejects.MEANING[reason]
        for index, indices in by_record.items():
            self._outputs.append(
                reject(run.records[index], self.source, reason, detail, len(indices), indices)
            )

    def _waiting_reject(self, product: str, event: Single) -> Output:
        """The reject of a tick or candle that waited for its session in vain: its record is long
        gone, so the bytes are those of a frame with this event alone."""
        frame = event.frame(product)
        key = product.encode()
        record = Reject(
            reason=rejects.TOO_LATE,
            detail=rejects.MEANING[rejects.TOO_LATE],
            topic=self.source.topic,
            partition=self.source.partition,
            offset=event.offset,
            record_ts=event.ts_recv,
            events=1,
            indices=[event.position],
            raw_key=key,
            raw=codec.encode(frame),
            headers=codec.headers_for(frame),
        )
        return Output(REJECTS, key, record, max(0, event.ts_recv))

    # -- state ------------------------------------------------------------------------------

    def hot(self) -> bytes:
        """What changes with every checkpoint."""
        return _encode(_Hot(self.unread, [hot_part(ticks) for ticks in self.products.values()]))

    def take_segments(self) -> dict[str, bytes | None]:
        """The segments changed since the last call, by name; None for those no longer needed."""
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
        """Become what ``hot`` and the segments were taken from."""
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

    def counts(self) -> list[Counts]:
        """The counts of each product, and of what belongs to none."""
        return [self.unread, *(ticks.counts for ticks in self.products.values())]


def read_counts(hot: bytes) -> list[Counts]:
    """The counts in a stored hot part."""
    state = _decode(hot)
    return [state.unread, *(part.counts for part in state.products)]


def _bar_output(bar: Bar) -> Output:
    return Output(OHLC, bar.product.encode(), bar, bar.known_at)


def _gap_output(gap: Gap) -> Output:
    return Output(GAPS, gap.product.encode(), gap, gap.known_at)
