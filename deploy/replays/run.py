"""A replay: a source into a namespace of its own, through every consumer group, to the end.

It creates the namespace, starts missing workers, publishes at its pace and under the commands
from the registry, waits until every group has caught up, and counts the events by their fate.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optionstream.deploy.clients import mongo_client
from optionstream.deploy.groups.lag import GroupOffsets, wait_until_caught_up
from optionstream.deploy.namespaces.registry import Registry
from optionstream.deploy.namespaces.topics import ensure_topics
from optionstream.deploy.replays.control import Control, LagWatch
from optionstream.deploy.replays.manifest import manifest_changes, start_manifest
from optionstream.deploy.replays.progress import (
    Observer,
    Progress,
    ReplayResult,
    counts_row,
    sent_row,
)
from optionstream.deploy.replays.sources.source import Source
from optionstream.deploy.replays.sources.trading_time import TradingTime
from optionstream.deploy.stack import Addresses
from optionstream.deploy.workers.launch import LocalWorkers, NamespaceWorkers, stop_orphans
from optionstream.producers.kafka.publisher import Publisher
from optionstream.producers.kafka.settings import PublishStats
from optionstream.producers.playback import Controller, Piece, Player, framed
from optionstream.producers.raw.writing import RawWriter
from optionstream.schemas.errors import OptionstreamError, UsageError
from optionstream.schemas.replays import Action, Command, State
from optionstream.schemas.settings import Settings
from optionstream.schemas.times import IST
from optionstream.schemas.topics import MARKET_TOPICS, Namespace
from optionstream.streams.core.market.calendar import nse_calendar

_LOOK_EVERY_S = 0.25
_CHECK_WORKERS_EVERY_S = 1.0
_DRAINING = "all is published; workers are catching up"
_RATE_OVER_S = 5.0
_MIN_SHARE = 0.01
"""The share of the input that must be read before the time left is estimated."""


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """The source of a replay, its namespace and its pace.

    ``speed`` None is as fast as it goes, 1 is real time; ``paused`` publishes nothing before a
    command. A record gets at most ``frame`` rows; None: as the source has it (and, at a pace,
    those of a second).
    """

    source: Source
    namespace: Namespace
    speed: float | None = None
    paused: bool = False
    keep_workers: bool = False
    frame: int | None = None

    def pieces(self, observer: Observer, raw: RawWriter | None) -> Iterator[Piece]:
        """Yield the pieces to publish, in order; ``raw`` takes the payloads as received."""
        pieces = self.source.pieces(observer, raw)
        return pieces if self.frame is None else framed(pieces, self.frame)


def new_name(now: datetime | None = None) -> str:
    """Return a name from the IST time, such as ``r20260106-101500``."""
    return f"r{now or datetime.now(IST):%Y%m%d-%H%M%S}"


def replay(
    plan: ReplayPlan, addresses: Addresses, settings: Settings, observer: Observer
) -> ReplayResult:
    """Run the plan and return its result. Bad files are reported to ``observer`` and left out.

    Raises InputError when there is nothing to replay (nothing is created then), UsageError for a
    pace into a namespace that has records already, StalledError and WorkerFailed when the workers
    stop. Ctrl-C flushes what was published and stops the workers that were started here.
    """
    plan.source.open(observer)
    ensure_topics(addresses.kafka, plan.namespace, settings)
    running = _Running(plan, addresses, settings, observer)
    with mongo_client(addresses.mongo) as client:
        registry = Registry(client)
        with _registered(running, registry, settings) as run:
            name = plan.namespace.name
            with Control(registry, name, run, lambda: running.progress().row()) as control:
                result = running.run(control)
                control.refuse("the replay has just ended")
            counts = counts_row(result.counts)
            fates = {f"namespace_{fate}": count for fate, count in counts.items()}
            manifest = manifest_changes(running.player, running.sent() | fates)
            changes = {"counts": counts, **manifest}
            registry.end_run(name, run, result.state, changes)
    return result


def _refuse_pace(plan: ReplayPlan, addresses: Addresses) -> str | None:
    """Return why commands but ``stop`` are refused: the namespace has data already, or None.

    Raises UsageError if the plan has a pace nevertheless.
    """
    held = sum(GroupOffsets(addresses.kafka, plan.namespace).ends(MARKET_TOPICS).values())
    if not held:
        return None
    why = (
        f"namespace {plan.namespace.name} already has {held:,} records; a paced or paused replay "
        "there would expose the future"
    )
    if plan.speed is not None or plan.paused:
        raise UsageError(f"{why}. Use a new namespace, or --speed max")
    return f"{why}. Only stop is possible; use a new namespace for the other commands"


@contextmanager
def _registered(running: _Running, registry: Registry, settings: Settings) -> Iterator[str]:
    """Keep an entry in the registry for the block, and record its end whatever it is."""
    plan = running.plan
    name, described = plan.namespace.name, plan.source.describe()
    speed: str | float = "max" if plan.speed is None else plan.speed
    options = {"speed": speed} | {k: v for k, v in described.items() if k not in ("kind", "paths")}
    if plan.frame is not None:
        options["frame"] = plan.frame
    manifest = start_manifest(name, described, speed, settings)
    run = registry.start_run(name, plan.source.names, options, manifest)

    try:
        yield run
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        state = State.INTERRUPTED if interrupted else State.FAILED
        known = isinstance(error, OptionstreamError)
        text = str(error) if known else f"{type(error).__name__}: {error}"
        changes = manifest_changes(running.player, running.sent())
        changes["error"] = None if interrupted else text
        registry.end_run(name, run, state, changes)
        raise


class _Running:
    """One replay under way. Raises UsageError for a pace into a namespace that has data."""

    def __init__(
        self, plan: ReplayPlan, addresses: Addresses, settings: Settings, observer: Observer
    ) -> None:
        self.plan = plan
        self._addresses = addresses
        self._settings = settings
        self._observer = observer
        self._time = TradingTime(nse_calendar())
        refusal = _refuse_pace(plan, addresses)
        self._controller = Controller(plan.speed, self._time.open_ms, refusal)
        if plan.paused:
            self._controller.take(Command(Action.PAUSE), time.monotonic())
        self._stats = PublishStats()
        self._phase: State | None = State.STARTING
        self._lag = LagWatch(GroupOffsets(addresses.kafka, plan.namespace))
        self._rate = _Rate()
        self._started_s = 0.0
        self.player: Player | None = None

    def sent(self) -> dict[str, Any]:
        """Return the numbers of what was read from the source, and published."""
        return {**self.plan.source.counts(), **sent_row(self._stats)}

    def progress(self) -> Progress:
        """Return the progress of this moment."""
        left_s, reason = self._estimate_left()
        return Progress(
            state=self._phase or self._controller.state,
            clock_ms=self._controller.clock_ms,
            speed=self._controller.told_speed,
            records=self._stats.records,
            events=self._stats.events,
            rate=round(self._rate.per_s(self._stats.events, time.monotonic()), 1),
            lag=self._lag.lag.by_group,
            settled=self._is_settled(),
            time_left_s=left_s if left_s is None else round(left_s, 1),
            time_left_reason=reason,
        )

    def _is_settled(self) -> bool:
        quiet_s = self.player.quiet_since_s if self.player is not None else None
        lag = self._lag.lag
        return quiet_s is not None and lag.started_s >= quiet_s and lag.none_left

    def run(self, control: Control) -> ReplayResult:
        """Publish everything, wait for the groups, and return the result."""
        from optionstream.streams.analytics.counts import read_counts

        plan, observer = self.plan, self._observer
        if plan.speed is not None or plan.paused:
            observer.note("reading the input once, for its order and its end")
            plan.source.scan()
            self._time.limit_to(plan.source.scanned.days)
        offsets = GroupOffsets(self._addresses.kafka, plan.namespace)
        stop_orphans(self._settings, plan.namespace)  # of a replay that was killed
        processes = NamespaceWorkers(plan.namespace, self._addresses, self._settings)
        missing = processes.missing_groups()
        if plan.keep_workers:
            processes.start_detached(missing)
            processes.await_members(missing)
        here = () if plan.keep_workers else missing
        with self._lag, processes.local(here, observer.note) as workers:
            self._started_s = time.monotonic()
            self._publish(control, workers)
            published_s = time.monotonic()
            self._phase = State.DRAINING
            observer.report_progress(self.progress())
            control.refuse(_DRAINING)
            self._drain(offsets, workers, control)
            ended_s = time.monotonic()
        return ReplayResult(
            namespace=plan.namespace.name,
            state=State.STOPPED if self._controller.stopped else State.COMPLETE,
            source=plan.source.counts(),
            published=self._stats,
            publish_s=published_s - self._started_s,
            total_s=ended_s - self._started_s,
            counts=read_counts(self._addresses.kafka, plan.namespace),
            workers=tuple(missing),
        )

    def _publish(self, control: Control, workers: LocalWorkers) -> None:
        looked, checked = _Every(_LOOK_EVERY_S), _Every(_CHECK_WORKERS_EVERY_S)

        def report() -> None:
            if looked.due():
                control.check()
                self._observer.report_progress(self.progress())
            if checked.due():
                workers.check()

        kafka, space = self._addresses.kafka, self.plan.namespace
        source = self.plan.source
        with Publisher(kafka, space, allow_live=False, raw=source.raw) as publisher:
            self._stats = publisher.stats
            self._phase = None
            self.player = Player(self._controller, control, time.monotonic, time.sleep)
            raw = RawWriter(publisher) if source.raw else None
            self.player.play(self.plan.pieces(self._observer, raw), publisher, report)

    def _drain(self, offsets: GroupOffsets, workers: LocalWorkers, control: Control) -> None:
        def check() -> None:
            workers.check()
            control.check()
            control.refuse(_DRAINING)

        wait_until_caught_up(
            offsets, on_lag=self._observer.report_lag, check_workers=check, logs=workers.logs
        )

    def _estimate_left(self) -> tuple[float | None, str | None]:
        """Return the seconds until all is published, or the reason why they are not known."""
        state = self._phase or self._controller.state
        if state in (State.STARTING, State.PAUSED, State.DRAINING):
            return None, state.value
        last_ms = self.plan.source.scanned.last_ms
        if last_ms is not None and state is State.RUNNING:
            left_s = self._controller.left_s(last_ms)
            if left_s is not None:
                return left_s, None
        share = self.plan.source.share_read()
        if share is None or share < _MIN_SHARE or self._controller.speed is not None:
            return None, "the end of the input is not known yet"
        return (time.monotonic() - self._started_s) * (1 - share) / share, None


class _Rate:
    """Measures events per second over the last few seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def per_s(self, events: int, now_s: float) -> float:
        seen = self._seen
        seen.append((now_s, events))
        while len(seen) > 2 and seen[1][0] <= now_s - _RATE_OVER_S:
            seen.popleft()
        first_s, first = seen[0]
        return (events - first) / (now_s - first_s) if now_s > first_s else 0.0


class _Every:
    """A timer: ``due`` is True once in every period."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._next_s = 0.0

    def due(self) -> bool:
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + self._period_s
        return True
