"""One partition of ``market.underlying``: records in, bars and rejects out, state as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from optionstream.schemas import codec, rejects
from optionstream.schemas.derived import Bar, Reject
from optionstream.schemas.events import ChainSnapshot, Heartbeat, Tick, TickFrame
from optionstream.schemas.identity import tick_id
from optionstream.schemas.topics import OHLC, REJECTS
from optionstream.streams.core.intake import Incoming, Output, Refused, Source, read, reject
from optionstream.streams.core.snapshot import (
    HotTicks,
    block_name,
    block_part,
    hot_part,
    restored,
)
from optionstream.streams.core.ticks import Columns, Counts, Outcome, ProductTicks, Rules, Waiting

_SMALL_FRAME = 16


class _Hot(Struct, array_like=True):
    unread: Counts
    products: list[HotTicks]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Hot).decode


@dataclass(slots=True)
class _Run:
    """Small records of one product and feed in a row, gathered into columns.

    How ticks are packed never changes a result, and columns are many times cheaper.
    """

    columns: Columns
    records: list[Incoming] = field(default_factory=list)
    origin: list[tuple[int, int]] = field(default_factory=list)
    """(index in ``records``, position in that record) of each tick; empty: one record."""

    def place(self, at: int) -> tuple[int, int]:
        """Offset of the record that holds the tick at ``at``, and the tick's position there."""
        index, position = self.origin[at] if self.origin else (0, at)
        return self.records[index].offset, position


class TickPartition:
    """The products of one partition. Not shared between threads."""

    def __init__(self, source: Source, rules: Rules, partial_every_ms: int = 0) -> None:
        self.source = source
        self.rules = rules
        self.partial_every_ms = partial_every_ms
        self.products: dict[str, ProductTicks] = {}
        self.unread = Counts(rejects={})
        """Counts of records that belong to no product's state."""
        self._runs: dict[str, _Run] = {}
        self._outputs: list[Output] = []
        self._blocks: dict[str, set[str]] = {}
        """Names of the stored blocks, by product."""
        self._partial_sent: dict[tuple[str, str], tuple[int, int]] = {}
        """(product, interval) → (start, time reached) of the last partial; not part of the
        state, since partials are views of the moment."""

    # -- records ----------------------------------------------------------------------------

    def apply(self, records: Sequence[Incoming]) -> list[Output]:
        """Apply records in log order; returns what goes out."""
        for incoming in records:
            try:
                record = read(incoming, self.source)
            except Refused as error:
                self._refuse_record(incoming, error)
            else:
                self._take(record, incoming)
        for product in list(self._runs):
            self._flush(product)
        outputs, self._outputs = self._outputs, []
        return outputs

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

    def _take(
        self, record: TickFrame | Tick | Heartbeat | ChainSnapshot, incoming: Incoming
    ) -> None:
        if isinstance(record, Tick):
            self._gather_tick(record, incoming)
        elif isinstance(record, TickFrame):
            if len(record.ts_ms) <= _SMALL_FRAME:
                self._gather_frame(record, incoming)
            else:
                self._flush(record.product)
                run = _Run(columns_of(record), [incoming])
                self._apply(run)
        elif isinstance(record, Heartbeat):
            self._flush(record.product)
            ticks = self._ticks(record.product)
            self._emit(ticks, ticks.heartbeat(record.ts_event, record.ts_recv), None)

    def _ticks(self, product: str) -> ProductTicks:
        ticks = self.products.get(product)
        if ticks is None:
            ticks = self.products[product] = ProductTicks(product, self.rules)
        return ticks

    # -- gathering --------------------------------------------------------------------------

    def _gather_tick(self, tick: Tick, incoming: Incoming) -> None:
        recv = incoming.timestamp if tick.ts_recv is None else tick.ts_recv
        seq = tick.seq
        order = tick_id(tick.ts_ms, tick.price, tick.volume) if seq is None else seq
        run = self._run(tick.product, (tick.source, tick.session), seq is None, incoming)
        columns = run.columns
        columns.ts.append(tick.ts_ms)
        columns.price.append(tick.price)
        columns.order.append(order)
        if columns.volume is not None:
            columns.volume.append(tick.volume)
        if columns.ids is not None:
            columns.ids.append(order)
        if columns.recv is not None:
            columns.recv.append(recv)
        run.origin.append((len(run.records) - 1, 0))

    def _gather_frame(self, frame: TickFrame, incoming: Incoming) -> None:
        size = len(frame.ts_ms)
        feed = (frame.source, frame.session)
        run = self._run(frame.product, feed, frame.tick_id is not None, incoming)
        columns = run.columns
        columns.ts += frame.ts_ms
        columns.price += frame.price
        columns.order += frame.seq
        if columns.volume is not None:
            columns.volume += frame.volume if frame.volume is not None else [None] * size
        if columns.ids is not None and frame.tick_id is not None:
            columns.ids += frame.tick_id
        if columns.recv is not None:
            columns.recv += [frame.ts_recv] * size
        index = len(run.records) - 1
        run.origin += [(index, position) for position in range(size)]

    def _run(self, product: str, feed: tuple[str, str], with_ids: bool, incoming: Incoming) -> _Run:
        """The run that the next small record of a product joins."""
        run = self._runs.get(product)
        if run is not None:
            columns = run.columns
            if columns.feed != feed or (columns.ids is not None) != with_ids:
                self._flush(product)
                run = None
        if run is None:
            ids: list[int] | None = [] if with_ids else None
            columns = Columns(product, feed, [], [], [], [], ids, [], 0, 0)
            run = self._runs[product] = _Run(columns)
        run.records.append(incoming)
        return run

    def _flush(self, product: str) -> None:
        run = self._runs.pop(product, None)
        if run is None:
            return
        columns = run.columns
        assert columns.recv is not None
        columns.first_recv, columns.last_recv = min(columns.recv), max(columns.recv)
        if columns.volume is not None and columns.volume.count(None) == len(columns.volume):
            columns.volume = None
        self._apply(run)

    # -- applying ---------------------------------------------------------------------------

    def _apply(self, run: _Run) -> None:
        ticks = self._ticks(run.columns.product)
        self._emit(ticks, ticks.apply(run.columns, run.place), run)

    def _emit(self, ticks: ProductTicks, outcome: Outcome, run: _Run | None) -> None:
        self._outputs += [_bar_output(bar) for bar in outcome.bars]
        if run is not None:
            for reason, positions in outcome.refused.items():
                self._refuse_ticks(run, reason, positions)
        for tick in outcome.late_waiting:
            self._outputs.append(self._waiting_reject(ticks.product, tick))

    def _refuse_ticks(self, run: _Run, reason: str, positions: list[int]) -> None:
        by_record: dict[int, list[int]] = {}
        for at in positions:
            index, position = run.origin[at] if run.origin else (0, at)
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


def columns_of(frame: TickFrame) -> Columns:
    """The ticks of a frame as columns."""
    return Columns(
        product=frame.product,
        feed=(frame.source, frame.session),
        ts=frame.ts_ms,
        price=frame.price,
        order=frame.seq,
        volume=frame.volume,
        ids=frame.tick_id,
        recv=None,
        first_recv=frame.ts_recv,
        last_recv=frame.ts_recv,
    )


def _bar_output(bar: Bar) -> Output:
    return Output(OHLC, bar.product.encode(), bar, bar.known_at)
