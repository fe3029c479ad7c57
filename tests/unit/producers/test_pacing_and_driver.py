"""Events at the pace of their own time, and on their way to a publisher."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from optionstream.producers.kafka.publish_all import only_products, publish
from optionstream.producers.kafka.publisher import Publisher
from optionstream.producers.kafka.settings import PublishStats
from optionstream.producers.pacing import event_time, paced, stamped
from optionstream.schemas.errors import DeliveryError, InputError, NamespaceError, UsageError
from optionstream.schemas.events import Heartbeat, MarketEvent, TickFrame
from optionstream.schemas.topics import Namespace


class FakeTime:
    """A clock that only sleeping (and ``work_s`` for each event) moves."""

    def __init__(self, work_s: float = 0.0) -> None:
        self.now = 100.0
        self.work_s = work_s

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def arrivals(self, events: Sequence[MarketEvent], speed: float) -> list[float]:
        """Seconds after the start at which each event comes."""
        times = []
        for _ in paced(events, speed, self.clock, self.sleep):
            times.append(round(self.now - 100.0, 6))
            self.now += self.work_s
        return times


def _beat(ts: int, product: str = "NIFTY") -> Heartbeat:
    return Heartbeat(product=product, source="test", ts_event=ts, ts_recv=ts)


def _frame(*stamps: int) -> TickFrame:
    return TickFrame(
        product="NIFTY", source="test", session="s", ts_recv=max(stamps), ts_ms=list(stamps),
        price=[1.0] * len(stamps), seq=list(range(len(stamps))),
    )  # fmt: skip


def test_events_come_at_their_own_pace() -> None:
    events = [_beat(5_000), _frame(5_100, 6_000), _beat(9_000)]
    assert FakeTime().arrivals(events, 1) == [0, 1, 4]


def test_speed_divides_the_waiting() -> None:
    assert FakeTime().arrivals([_beat(0), _beat(60_000)], 60) == [0, 1]


def test_closed_hours_are_skipped_and_gaps_of_the_day_are_not() -> None:
    events = [_beat(0), _beat(991_000), _beat(60_000_000), _beat(60_001_000)]
    assert FakeTime().arrivals(events, 1) == [0, 991, 991, 992]


def test_time_that_runs_backwards_waits_for_nothing() -> None:
    assert FakeTime().arrivals([_beat(5_000), _beat(1_000), _beat(6_000)], 1) == [0, 0, 1]


def test_slow_work_does_not_shift_the_plan() -> None:
    events = [_beat(1_000 * n) for n in range(4)]
    assert FakeTime(work_s=0.4).arrivals(events, 1) == [0, 1, 2, 3]


def test_after_slow_work_events_catch_up_without_a_pause() -> None:
    events = [_beat(1_000 * n) for n in range(3)]
    assert FakeTime(work_s=3.0).arrivals(events, 1) == [0, 3, 6]


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_a_usage_error(speed: float) -> None:
    with pytest.raises(UsageError, match="speed"):
        paced([], speed, FakeTime().clock, FakeTime().sleep)


def test_a_stamp_is_now_but_never_before_the_event() -> None:
    now = iter([10_000, 10_000])
    early, late = stamped([_beat(4_000), _frame(4_000, 70_000)], lambda: next(now))
    assert (early.ts_recv, late.ts_recv) == (10_000, 70_000)
    assert event_time(late) == 70_000


class FakePublisher:
    """Remembers; fails where told."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.stats = PublishStats()
        self.taken: list[MarketEvent] = []
        self.flushed = 0
        self._fail_at = fail_at

    def publish(self, event: MarketEvent) -> None:
        if len(self.taken) == self._fail_at:
            raise DeliveryError("not taken")
        self.taken.append(event)
        self.stats.count(event, 10)

    def flush(self) -> None:
        self.flushed += 1


def test_every_event_is_published_flushed_and_counted() -> None:
    publisher, told = FakePublisher(), []
    events: list[MarketEvent] = [_frame(1, 2, 3), _beat(4)]
    stats = publish(events, publisher, lambda stats: told.append(stats.records))
    assert publisher.taken == events
    assert publisher.flushed == 1
    assert told == [1, 2, 2]
    assert (stats.ticks, stats.heartbeats, stats.bytes) == (3, 1, 20)


def test_an_error_in_the_events_comes_after_what_went_before_was_flushed() -> None:
    def events() -> Iterator[MarketEvent]:
        yield _beat(1)
        raise InputError("file", "broken")

    publisher = FakePublisher()
    with pytest.raises(InputError):
        publish(events(), publisher)
    assert (len(publisher.taken), publisher.flushed) == (1, 1)


def test_a_failed_delivery_ends_publishing() -> None:
    publisher = FakePublisher(fail_at=1)
    with pytest.raises(DeliveryError):
        publish([_beat(1), _beat(2), _beat(3)], publisher)
    assert len(publisher.taken) == 1


def test_only_the_products_asked_for_are_left() -> None:
    events: list[MarketEvent] = [_beat(1), _beat(2, "SENSEX"), _beat(3)]
    assert [event.product for event in only_products(events, {"SENSEX"})] == ["SENSEX"]


@pytest.mark.parametrize("name", ["live", "sim"])
def test_a_replay_publisher_is_refused_live_namespaces(name: str) -> None:
    with pytest.raises(NamespaceError, match="for live feeds"):
        Publisher("127.0.0.1:1", Namespace(name), allow_live=False)
