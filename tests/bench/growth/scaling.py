"""Cost a tick of the analytics workers over products, days, and partitions and workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import count, islice
from pathlib import Path
from statistics import median

from optionstream.deploy.namespaces.catalogue import drop_namespace
from optionstream.deploy.namespaces.topics import ensure_topics
from optionstream.deploy.stack import Addresses
from optionstream.schemas.events import Tick, TickFrame
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace, partition_for
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.kafka.admin import admin_client
from tests.bench.growth.membership import await_assigned
from tests.bench.growth.meter import Cost, Look, cost, looks_until, used_at
from tests.bench.inputs import (
    FIRST_DAY,
    PRODUCTS,
    SESSION_MS,
    Day,
    input_producer,
    publish,
    records_of,
)
from tests.bench.report import Result, at_most
from tests.bench.worker import running_worker

FRAME_TICKS = 1_000
FLAT = 1.5
PRODUCT_COUNTS = (1, 5, 10, 25, 50)
DAYS = 10
CREWS = ((1, 1), (2, 1), (2, 2), (4, 1), (4, 2))
"""(partitions, workers)"""
_CREW_PRODUCTS = 8
_HOUR_MS = 3_600_000
_CALM_S = 2.0
"""A fetch that was under way when the second worker joined ends within a second. What it brought
later would be dropped, and its worker end to begin again: that is no cost of a tick."""
_LEAST_LOOKS = 5
_TRANSACTION_MS = "600000"

Records = Iterable[TickFrame | Tick]


@dataclass(frozen=True, slots=True)
class Amounts:
    """Ticks of one run in frames and as single records; ticks a second of each product over the
    days."""

    frames: int
    single: int
    a_second: int


FULL = Amounts(frames=8_000_000, single=600_000, a_second=40)
QUICK = Amounts(frames=4_000_000, single=300_000, a_second=20)


@dataclass(frozen=True, slots=True)
class Point:
    """Medians at one place of a curve: nanoseconds of processor and ticks a second."""

    label: str
    ns: float
    rate: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Cost a tick along one axis; the first point is what the others are held against."""

    title: str
    points: list[Point]

    @property
    def result(self) -> Result:
        """The dearest of the other points beside the first."""
        worst = max(self.points[1:], key=lambda point: point.ns)
        name = f"{self.title}: {worst.label} beside {self.points[0].label}"
        return at_most(name, "ns/tick", worst.ns, self.points[0].ns, FLAT)


class Scaling:
    """The servers; ``measure`` does it."""

    def __init__(
        self, addresses: Addresses, settings: Settings, folder: Path, amounts: Amounts, rounds: int
    ) -> None:
        self._addresses = addresses
        self._settings = settings
        self._folder = folder
        self._amounts = amounts
        self._rounds = rounds
        self._numbers = count()
        self._used: list[Namespace] = []

    def measure(self) -> list[Curve]:
        """Every curve, each point the median over the rounds."""
        frames, single = self._amounts.frames, self._amounts.single
        return [
            self._curve("products, frames of 1,000", lambda: self._products(frames, FRAME_TICKS)),
            self._curve("products, one tick a record", lambda: self._products(single, 1)),
            self._curve("length of the replay", self._days),
            self._curve("partitions x workers", self._crews),
        ]

    def _curve(self, title: str, measure: Callable[[], dict[str, Cost]]) -> Curve:
        turns = []
        for _ in range(self._rounds):
            turns.append(measure())
            self._drop()
        points = [
            Point(
                label,
                median(turn[label].ns for turn in turns),
                median(turn[label].rate for turn in turns),
            )
            for label in turns[0]
        ]
        return Curve(title, points)

    def _products(self, ticks: int, frame_ticks: int) -> dict[str, Cost]:
        """The same number of ticks, over more and more products."""
        found = {}
        for number in PRODUCT_COUNTS:
            names = [f"P{at:02}" for at in range(number)]
            looks = self._read(steady(names, ticks, frame_ticks), self._settings)
            found[str(number)] = cost(looks, frame_ticks)
        return found

    def _days(self) -> dict[str, Cost]:
        """One worker, one partition, one replay of many days; what its parts took.

        A day that comes first is the warm-up.
        """
        ticks = len(PRODUCTS) * self._amounts.a_second * SESSION_MS // 1_000
        records = steady(PRODUCTS, ticks * (DAYS + 1), FRAME_TICKS, self._amounts.a_second)
        looks = self._read(records, replace(self._settings, partitions=1))
        a_day = ticks // FRAME_TICKS
        spans = {"1 hour": (a_day, a_day + a_day * _HOUR_MS // SESSION_MS)}
        for days in (1, 2, 5, DAYS):
            spans[f"day {days}"] = (a_day * days, a_day * (days + 1))
        return costs_within(looks, spans)

    def _crews(self) -> dict[str, Cost]:
        """The same records over more partitions and more workers."""
        found = {}
        for partitions, workers in CREWS:
            names = list(islice(_spread(partitions), _CREW_PRODUCTS))
            records = steady(names, self._amounts.frames, FRAME_TICKS)
            settings = replace(self._settings, partitions=partitions)
            looks = self._read(records, settings, workers)
            found[f"{partitions} x {workers}"] = cost(looks, FRAME_TICKS)
        return found

    def _read(self, records: Records, settings: Settings, workers: int = 1) -> list[Look]:
        """Have a new namespace's workers read the records; they see all of them at once.

        The records are one transaction, which ends when every worker has its partitions.
        """
        namespace = Namespace.parse(f"bench-growth-{next(self._numbers)}")
        self._used.append(namespace)
        log = self._folder / f"{namespace.name}.log"
        ensure_topics(self._addresses.kafka, namespace, settings)
        producer = input_producer(
            self._addresses.kafka,
            **{
                "transactional.id": namespace.name,
                "transaction.timeout.ms": _TRANSACTION_MS,
                "log_level": "0",  # a coordinator that has just been made is asked again
            },
        )
        producer.init_transactions(60)
        producer.begin_transaction()
        sent = publish(producer, namespace, settings, records)
        place = namespace, self._addresses, settings, log
        with ExitStack() as stack:
            crew = [
                stack.enter_context(running_worker("analytics", *place, instance=str(number)))
                for number in range(1, workers + 1)
            ]
            admin = admin_client(self._addresses.kafka)
            await_assigned(admin, namespace.group("analytics"), workers)
            time.sleep(_CALM_S)
            producer.commit_transaction(60)
            return looks_until(crew, sent, log)

    def _drop(self) -> None:
        """The namespaces of a turn together: each keeps its members until their time-out."""
        while self._used:
            drop_namespace(self._addresses, self._used.pop(0).name, self._settings)


def steady(
    products: Sequence[str], ticks: int, frame_ticks: int, a_second: int = FULL.a_second
) -> Iterator[TickFrame | Tick]:
    """``ticks`` at a steady pace of ``a_second`` for every product, over as many days as it takes.

    So the bars a tick are the same whatever the number of products.
    """
    left, a_day = ticks // len(products), a_second * SESSION_MS // 1_000
    for day in trading_days():
        each = min(left, a_day)
        span_ms = each * 1_000 // a_second
        yield from records_of(each * len(products), frame_ticks, products, day, span_ms)
        left -= each
        if not left:
            return


def trading_days() -> Iterator[Day]:
    """The days with an ordinary session, from the benchmark's first day on."""
    calendar, first = nse_calendar(), date.fromisoformat(FIRST_DAY.date)
    for days in count():
        for session in calendar.sessions_for("fno", first + timedelta(days)):
            if session.close_ms - session.open_ms == SESSION_MS:
                yield Day(session.date, session.open_ms)


def costs_within(looks: list[Look], spans: dict[str, tuple[int, int]]) -> dict[str, Cost]:
    """Cost a tick of each span of records, by its name; a span that fewer than five looks fell
    into is left out."""
    seen = {
        label: sum(first <= look.records <= last for look in looks)
        for label, (first, last) in spans.items()
    }
    return {
        label: _between(looks, *span)
        for label, span in spans.items()
        if seen[label] >= _LEAST_LOOKS
    }


def _between(looks: list[Look], first: int, last: int) -> Cost:
    used, ticks = used_at(looks), (last - first) * FRAME_TICKS
    seconds = used_at([look._replace(processor_s=look.seconds) for look in looks])
    passed = seconds(last) - seconds(first)
    return Cost(1e9 * (used(last) - used(first)) / ticks, ticks / passed)


def _spread(partitions: int) -> Iterator[str]:
    """Names of products that lie on the partitions in turn."""
    for number in count():
        wanted = number % partitions
        yield next(
            name for at in count() if partition_for(name := f"Q{number}-{at}", partitions) == wanted
        )
