"""One partition of ``market.underlying``: records in, bars and rejects out, state as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import msgspec
from msgspec import Struct

from optionstream.schemas import codec, rejects
from optionstream.schemas.derived import Bar, Reject
from optionstream.schemas.events import Heartbeat, Tick, TickFrame
from optionstream.schemas.identity import tick_id
from optionstream.schemas.topics import OHLC, REJECTS
from optionstream.streams.core.bulk import TickGroup, read_ticks
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
from optionstream.streams.core.ticks import Columns, Counts, Outcome, ProductTicks, Rules, Waiting

_SMALL_FRAME = 16
_WORTH_BULK = 8


class _Hot(Struct, array_like=True):
    unread: Counts
    products: list[HotTicks]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Hot).decode


@dataclass(slots=True)
class _Run:
    """Records of one product and feed in a row, to be applied as one set of columns.

    How ticks are packed never changes a result, and columns are many times cheaper. ``events``
    are all of one kind, one for each of ``records``.
    """

    kind: type[Tick] | type[TickFrame]
    source: str
    session: str
    with_ids: bool
    events: list[Any] = field(default_factory=list)
    records: list[Incoming] = field(default_factory=list)
    origin: list[tuple[int, int]] | None = None
    """(index in ``records``, position in that record) of each tick; made when asked for."""

    def place(self, at: int) -> tuple[int, int]:
        """Offset of the record that holds the tick at ``at``, and the tick's position there."""
        index, position = self.find(at)
        return self.records[index].offset, position

    def find(self, at: int) -> tuple[int, int]:
        """Index of the record that holds the tick at ``at``, and the tick's position there."""
        if self.kind is Tick:
            return at, 0
        if len(self.events) == 1:
            return 0, at
        if self.origin is None:
            self.origin = [
                (index, position)
                for index, frame in enumerate(self.events)
                for position in range(len(frame.ts_ms))
            ]
        return self.origin[at]

    def columns(self) -> Columns:
        """All ticks of the run."""
        if self.kind is Tick:
            return columns_of_ticks(self.events, self.records, self.with_ids)
        if len(self.events) == 1:
            return columns_of(self.events[0])
        return columns_of_frames(self.events)


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
        run = _Run(Tick, first.source, first.session, first.seq is None)
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
            run = _Run(type(event), event.source, event.session, with_ids)
            self._runs[event.product] = run
        run.events.append(event)
        run.records.append(incoming)

    # -- applying ---------------------------------------------------------------------------

    def _flush(self, product: str) -> None:
        """Apply the product's run, if there is one."""
        run = self._runs.pop(product, None)
        if run is not None:
            self._apply_run(product, run)

    def _apply_run(self, product: str, run: _Run) -> None:
        ticks = self._ticks(product)
        self._emit(ticks, ticks.apply(run.columns(), run.place), run)

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


def columns_of_frames(frames: list[TickFrame]) -> Columns:
    """The ticks of frames of one product and feed, with ``tick_id`` in all or in none."""
    first = frames[0]
    volume = [
        value for frame in frames for value in (frame.volume or repeat(None, len(frame.ts_ms)))
    ]
    recv = [frame.ts_recv for frame in frames for _ in frame.ts_ms]
    return Columns(
        product=first.product,
        feed=(first.source, first.session),
        ts=[value for frame in frames for value in frame.ts_ms],
        price=[value for frame in frames for value in frame.price],
        order=[value for frame in frames for value in frame.seq],
        volume=_known(volume),
        ids=None
        if first.tick_id is None
        else [value for frame in frames for value in frame.tick_id or ()],
        recv=recv,
        first_recv=min(recv),
        last_recv=max(recv),
    )


def columns_of_ticks(ticks: list[Tick], records: Sequence[Incoming], with_ids: bool) -> Columns:
    """Single ticks of one product and feed, with ``seq`` in all or (``with_ids``) in none."""
    first = ticks[0]
    recv = [
        record.timestamp if tick.ts_recv is None else tick.ts_recv
        for tick, record in zip(ticks, records, strict=True)
    ]
    if with_ids:
        order = [tick_id(tick.ts_ms, tick.price, tick.volume) for tick in ticks]
    else:
        order = [tick.seq or 0 for tick in ticks]
    return Columns(
        product=first.product,
        feed=(first.source, first.session),
        ts=[tick.ts_ms for tick in ticks],
        price=[tick.price for tick in ticks],
        order=order,
        volume=_known([tick.volume for tick in ticks]),
        ids=order if with_ids else None,
        recv=recv,
        first_recv=min(recv),
        last_recv=max(recv),
    )


def _known(volume: list[int | None]) -> list[int | None] | None:
    """None when no tick tells a volume."""
    return None if volume.count(None) == len(volume) else volume


def _bar_output(bar: Bar) -> Output:
    return Output(OHLC, bar.product.encode(), bar, bar.known_at)
