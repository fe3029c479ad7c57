"""One partition of ``market.underlying``: records in, bars and rejects out, state as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from optionstream.schemas import codec, rejects
from optionstream.schemas.derived import Bar, Reject
from optionstream.schemas.events import Heartbeat, Tick, TickFrame
from optionstream.schemas.topics import OHLC, REJECTS
from optionstream.streams.core.bulk import TickGroup, read_ticks
from optionstream.streams.core.columns import Run
from optionstream.streams.core.intake import (
    Incoming,
    MarketRecord,
    Output,
    Refused,
    Source,
    read,
    reject,
)
from optionstream.streams.core.snapshot import (
    HotTicks,
    block_name,
    block_part,
    hot_part,
    restored,
)
from optionstream.streams.core.ticks import Counts, Outcome, ProductTicks, Rules, Waiting

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
        self.unread = Counts(rejects={})
        """Counts of records that belong to no product's state."""
        self._runs: dict[str, Run] = {}
        self._outputs: list[Output] = []
        self._blocks: dict[str, set[str]] = {}
        """Names of the stored blocks, by product."""
        self._partial_sent: dict[tuple[str, str], tuple[int, int]] = {}
        """(product, interval) → (start, time reached) of the last partial; not part of the
        state, since partials are views of the moment."""

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

    def partials(self) -> list[Output]:
        """The bars of open windows that changed since the last call: a view of the moment."""
        return [
            _bar_output(bar)
            for ticks in self.products.values()
            if ticks.bars is not None and ticks.bars.changed
            for bar in ticks.bars.take_partials(ticks.known_at)
            if self._is_due(bar, ticks.bars.watermark)
        ]

    def _refuse_record(self, incoming: Incoming, error: Refused) -> None:
        counts = self.unread.rejects
        counts[error.reason] = counts.get(error.reason, 0) + error.events
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
        if run is not None:
            for reason, positions in outcome.refused.items():
                self._refuse_ticks(run, reason, positions)
        for tick in outcome.late_waiting:
            self._outputs.append(self._waiting_reject(ticks.product, tick))

    def _refuse_ticks(self, run: Run, reason: str, positions: list[int]) -> None:
        by_record: dict[int, list[int]] = {}
        for at in positions:
            index, position = run.find(at)
            by_record.setdefault(index, []).append(position)
        detail = rejects.MEANING[reason]
        for index, indices in by_record.items():
            self._outputs.append(
                reject(run.records[index], self.source, reason, detail, len(indices), indices)
            )

    def _waiting_reject(self, product: str, tick: Waiting) -> Output:
        """The reject of a tick that waited for its session in vain: its record is long gone, so
        the bytes are those of a frame with this tick alone."""
        source, session = tick.feed
        frame = TickFrame(
            product=product,
            source=source,
            session=session,
            ts_recv=max(0, tick.ts_recv),
            ts_ms=[tick.ts],
            price=[tick.price],
            seq=[tick.order],
            volume=None if tick.volume is None else [tick.volume],
            tick_id=None if tick.id is None else [tick.id],
        )
        key = product.encode()
        record = Reject(
            reason=rejects.TOO_LATE,
            detail=rejects.MEANING[rejects.TOO_LATE],
            topic=self.source.topic,
            partition=self.source.partition,
            offset=tick.partition_offset,
            record_ts=tick.ts_recv,
            events=1,
            indices=[tick.position],
            raw_key=key,
            raw=codec.encode(frame),
            headers=codec.headers_for(frame),
        )
        return Output(REJECTS, key, record, max(0, tick.ts_recv))

    def _is_due(self, bar: Bar, reached: int) -> bool:
        every = self.partial_every_ms
        if not every:
            return True
        key = (bar.product, bar.interval)
        start, sent = self._partial_sent.get(key, (-1, 0))
        if start == bar.start and reached - sent < every:
            return False
        self._partial_sent[key] = (bar.start, reached)
        return True

    # -- state ------------------------------------------------------------------------------

    def hot(self) -> bytes:
        """What changes with every checkpoint."""
        return _encode(_Hot(self.unread, [hot_part(ticks) for ticks in self.products.values()]))

    def take_segments(self) -> dict[str, bytes | None]:
        """The segments changed since the last call, by name; None for those no longer needed."""
        changed: dict[str, bytes | None] = {}
        for product, ticks in self.products.items():
            if ticks.bars is None:
                continue
            names = self._blocks.setdefault(product, set())
            prefix = block_name(ticks, 0).rpartition("|")[0] + "|"
            for name in [name for name in names if not name.startswith(prefix)]:
                names.discard(name)
                changed[name] = None
            for block in ticks.changed_blocks:
                name = block_name(ticks, block)
                names.add(name)
                changed[name] = block_part(ticks, block)
            ticks.changed_blocks = set()
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
