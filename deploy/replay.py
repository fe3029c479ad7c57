"""A replay: files into a namespace of their own, through every consumer group, to the end.

It makes the namespace, starts the workers that nobody runs, publishes the files in the order of the
input, waits until every group has read everything, and counts what became of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optionstream.deploy import topics_admin
from optionstream.deploy.groups import GroupOffsets, wait_until_caught_up
from optionstream.deploy.namespaces import Registry, mongo_client
from optionstream.deploy.stack import Addresses
from optionstream.deploy.workers import (
    LocalWorkers,
    await_members,
    groups_without_worker,
    start_detached,
)
from optionstream.producers.driver import only_products, publish
from optionstream.producers.feeds import Feed, FeedHints, open_feed
from optionstream.producers.pacing import paced
from optionstream.producers.publisher import Publisher
from optionstream.producers.publisher_settings import PublishStats
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import MarketEvent
from optionstream.schemas.settings import Settings
from optionstream.schemas.times import IST
from optionstream.schemas.topics import Namespace

if TYPE_CHECKING:
    from optionstream.streams.analytics.counts import Counts

COMPLETE = "complete"
INTERRUPTED = "interrupted"
FAILED = "failed"

_CHECK_WORKERS_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What to replay, and how. ``speed`` None is as fast as it goes; ``products`` None is all."""

    paths: Sequence[Path]
    namespace: Namespace
    hints: FeedHints = field(default_factory=FeedHints)
    speed: float | None = None
    products: frozenset[str] | None = None
    keep_workers: bool = False


class Observer:
    """Told what happens; the command line draws its progress from it. Does nothing itself."""

    def files(self, count: int) -> None:
        """This many files will be published."""

    def file(self, feed: Feed) -> None:
        """A file's turn has come."""

    def bad(self, error: InputError) -> None:
        """A file, or rows of one, could not be used."""

    def published(self, stats: PublishStats) -> None:
        """A record more was published."""

    def waiting(self, group: str, left: int) -> None:
        """A group has so many records yet to read."""

    def note(self, text: str) -> None:
        """A line worth reading."""


@dataclass(slots=True)
class ReplayResult:
    """What went in, what became of it, and how long it took."""

    namespace: str
    files: int
    published: PublishStats
    publish_s: float
    total_s: float
    """From the first record until the last group had read everything."""
    counts: Counts
    workers: tuple[str, ...]
    """Groups whose workers this replay started."""

    def row(self) -> dict[str, Any]:
        """One flat row: ``replay --json``."""
        sent, counts = self.published, self.counts
        return {
            "namespace": self.namespace,
            "files": self.files,
            "records": sent.records,
            "ticks": sent.ticks,
            "candles": sent.candles,
            "quotes": sent.quotes,
            "chains": sent.chains,
            "heartbeats": sent.heartbeats,
            "publish_s": round(self.publish_s, 3),
            "total_s": round(self.total_s, 3),
            **rates(sent, self.publish_s, self.total_s),
            **counts_row(counts),
        }


def counts_row(counts: Counts) -> dict[str, Any]:
    """What analytics counted in the whole namespace, events by their fate."""
    return {
        "read": counts.read,
        "accepted": counts.accepted,
        "outside_session": counts.outside_session,
        "outside": dict(sorted(counts.outside.items())),
        "duplicates": counts.duplicates,
        "held": counts.held,
        "rejects": dict(sorted(counts.rejects.items())),
    }


def rates(sent: PublishStats, publish_s: float, total_s: float) -> dict[str, int]:
    """Events a second: published, and read by every group."""
    return {
        "published_per_s": round(sent.events / max(publish_s, 1e-9)),
        "processed_per_s": round(sent.events / max(total_s, 1e-9)),
    }


def new_name(now: datetime | None = None) -> str:
    """``r20260106-101500``, of the IST time."""
    return f"r{now or datetime.now(IST):%Y%m%d-%H%M%S}"


def replay(
    plan: ReplayPlan, addresses: Addresses, settings: Settings, observer: Observer
) -> ReplayResult:
    """Run the plan. Bad files are told to ``observer`` and left out.

    Raises InputError when no file can be read at all (nothing is made then), StalledError and
    WorkerFailed when the workers do not get on. Ctrl-C flushes what was published and stops the
    workers that were started here.
    """
    feeds = list(_open(plan, observer))
    if not feeds:
        raise InputError(", ".join(map(str, plan.paths[:3])), "no file can be replayed")
    topics_admin.ensure_topics(addresses.kafka, plan.namespace, settings)
    with _registered(plan, addresses) as registry:
        result = _run(plan, feeds, addresses, settings, observer)
        registry.ended(plan.namespace.name, COMPLETE, counts_row(result.counts))
    return result


def _open(plan: ReplayPlan, observer: Observer) -> Iterator[Feed]:
    for path in plan.paths:
        try:
            yield open_feed(path, plan.hints)
        except InputError as error:
            observer.bad(error)


@contextmanager
def _registered(plan: ReplayPlan, addresses: Addresses) -> Iterator[Registry]:
    """An entry in the registry that says how it ended, whatever way that was."""
    name = plan.namespace.name
    with mongo_client(addresses.mongo) as client:
        registry = Registry(client)
        registry.began(name, [str(path) for path in plan.paths], _options(plan))
        try:
            yield registry
        except KeyboardInterrupt:
            registry.ended(name, INTERRUPTED)
            raise
        except BaseException:
            registry.ended(name, FAILED)
            raise


def _options(plan: ReplayPlan) -> dict[str, Any]:
    return {
        "speed": "max" if plan.speed is None else plan.speed,
        "products": sorted(plan.products) if plan.products is not None else None,
        "product": plan.hints.product,
        "expiry": plan.hints.expiry,
        "timestamp_ms": plan.hints.timestamp_ms,
    }


def _run(
    plan: ReplayPlan,
    feeds: list[Feed],
    addresses: Addresses,
    settings: Settings,
    observer: Observer,
) -> ReplayResult:
    from optionstream.streams.analytics.counts import read_counts

    offsets = GroupOffsets(addresses.kafka, plan.namespace)
    missing = groups_without_worker(offsets, plan.namespace, settings)
    if plan.keep_workers:
        start_detached(plan.namespace, addresses, settings, missing)
        await_members(offsets, plan.namespace, settings, missing)
    here = () if plan.keep_workers else missing
    with LocalWorkers(plan.namespace, addresses, settings, here, observer.note) as workers:
        began_s = time.monotonic()
        stats = _publish(plan, feeds, addresses, observer, workers)
        published_s = time.monotonic()
        wait_until_caught_up(
            offsets, on_lag=observer.waiting, check_workers=workers.check, logs=workers.logs
        )
        ended_s = time.monotonic()
    return ReplayResult(
        namespace=plan.namespace.name,
        files=len(feeds),
        published=stats,
        publish_s=published_s - began_s,
        total_s=ended_s - began_s,
        counts=read_counts(addresses.kafka, plan.namespace),
        workers=tuple(missing),
    )


def _publish(
    plan: ReplayPlan,
    feeds: list[Feed],
    addresses: Addresses,
    observer: Observer,
    workers: LocalWorkers,
) -> PublishStats:
    observer.files(len(feeds))
    checked = _Every(_CHECK_WORKERS_EVERY_S)

    def on_progress(stats: PublishStats) -> None:
        observer.published(stats)
        if checked.due():
            workers.check()

    with Publisher(addresses.kafka, plan.namespace, allow_live=False) as publisher:
        return publish(events_of(plan, feeds, observer), publisher, on_progress)


def events_of(plan: ReplayPlan, feeds: list[Feed], observer: Observer) -> Iterator[MarketEvent]:
    """The events of all files, filtered and paced as planned."""
    events = _all_events(feeds, observer)
    if plan.products is not None:
        events = only_products(events, plan.products)
    if plan.speed is not None:
        events = paced(events, plan.speed, time.monotonic, time.sleep)
    return events


def _all_events(feeds: list[Feed], observer: Observer) -> Iterator[MarketEvent]:
    for feed in feeds:
        observer.file(feed)
        try:
            yield from feed.events()
        except InputError as error:
            observer.bad(error)
            continue
        if feed.problems:
            more = f" (and {len(feed.problems) - 1} more)" if len(feed.problems) > 1 else ""
            observer.bad(InputError(str(feed.path), f"{feed.problems[0]}{more}"))


class _Every:
    """True once in a while."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._next_s = 0.0

    def due(self) -> bool:
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + self._period_s
        return True
