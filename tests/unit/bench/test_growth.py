"""The arithmetic of ``tests.bench.growth``: what it measures must be what it says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from optionstream.schemas.events import TickFrame
from tests.bench.growth import curves
from tests.bench.growth.footprint import HOT_LIMIT_BYTES, Footprint, most_hot
from tests.bench.growth.footprint import results as footprint_results
from tests.bench.growth.memory import Look as Resident
from tests.bench.growth.memory import Process, too_quick
from tests.bench.growth.memory import results as memory_results
from tests.bench.growth.meter import Look, cost, looks_until, used_at
from tests.bench.growth.scaling import Curve, Point, costs_within, steady
from tests.bench.growth.startup import BARE_FAUST, BARE_IMPORT, HELP, StartUp
from tests.bench.growth.startup import results as startup_results
from tests.bench.report import Report, at_most

MINUTE_MS = 60_000


def _ticks_a_minute(products: list[str], ticks: int) -> Counter[int]:
    frames = [one for one in steady(products, ticks, 100, 2) if isinstance(one, TickFrame)]
    return Counter(
        ts_ms // MINUTE_MS for one in frames if one.product == products[0] for ts_ms in one.ts_ms
    )


def test_a_steady_pace_does_not_depend_on_the_number_of_products() -> None:
    one, five = _ticks_a_minute(["P"], 6_000), _ticks_a_minute(list("PQRST"), 6_000)

    assert set(one.values()) == set(five.values()) == {120}
    assert (len(one), len(five)) == (50, 10)


def test_a_steady_pace_goes_on_with_the_next_trading_day() -> None:
    frames = [one for one in steady(["P"], 50_000, 1_000, 2) if isinstance(one, TickFrame)]
    days = Counter(one.session for one in frames for _ in one.ts_ms)

    assert days == {"2026-01-06": 45_000, "2026-01-07": 5_000}
    times = [ts_ms for one in frames for ts_ms in one.ts_ms]
    assert times == sorted(times)


def test_cost_counts_what_lies_between_the_first_look_and_the_last() -> None:
    looks = [Look(10.0, 5.0, 100), Look(11.0, 5.5, 600), Look(12.0, 6.0, 1_100)]

    assert cost(looks, 1_000) == (1_000.0, 500_000.0)
    with pytest.raises(RuntimeError, match="too quick"):
        cost(looks[:1], 1_000)


def test_processor_time_between_two_looks_is_straight() -> None:
    at = used_at([Look(0.0, 1.0, 0), Look(1.0, 3.0, 10)])

    assert at(5) == 2.0


def test_a_span_that_hardly_anybody_looked_at_has_no_figure() -> None:
    looks = [Look(0.1 * at, 0.2 * at, 100 * at) for at in range(11)]
    found = costs_within(looks, {"short": (0, 300), "long": (500, 1_000)})

    assert list(found) == ["long"]
    assert found["long"].ns == pytest.approx(2_000.0)
    assert found["long"].rate == pytest.approx(1e6)


def test_a_worker_that_ended_is_told() -> None:
    class Ended:
        pid = 1

        def poll(self) -> int:
            return 70

    with pytest.raises(RuntimeError, match="a worker ended"):
        looks_until([(Ended(), 0)], 10, Path("the.log"))  # type: ignore[list-item]


def test_memory_is_held_against_the_limit_and_its_own_beginning() -> None:
    process = Process("history", [Resident(0.1, 50), Resident(0.4, 100), Resident(0.95, 120)])
    limit, growth = memory_results([process], 10)

    assert (limit.ours, limit.held) == (120, True)
    assert (growth.ours, growth.beside, growth.held) == (120, 100, False)


def test_growth_that_nobody_saw_is_no_figure() -> None:
    process = Process("history", [Resident(0.1, 50), Resident(1.0, 120)])

    assert too_quick([process]) == ["history"]
    assert [line.ours for line in memory_results([process], 10)] == [120]


def test_the_dearest_point_is_held_against_the_first() -> None:
    points = [Point("1", 100.0, 1.0), Point("5", 160.0, 1.0), Point("50", 120.0, 1.0)]
    result = Curve("products", points).result

    assert (result.ours, result.beside, result.held) == (160.0, 100.0, False)
    assert "5 beside 1" in result.name


def test_curves_are_well_formed_and_name_every_point() -> None:
    points = [Point("1 x 1", 100.0, 1.0), Point("2 & 2", 120.0, 1.0)]
    drawn = curves.svg([Curve("partitions <x> workers", points)] * 3, "2 cores")
    texts = {element.text for element in ElementTree.fromstring(drawn).iter()}

    assert {"1 x 1", "2 & 2", "partitions <x> workers", "120"} <= texts


def test_start_up_is_held_against_the_bare_programs() -> None:
    workers = {name: [1.0] for name in (BARE_FAUST, "analytics", "latest")} | {"history": [2.5]}
    found = StartUp({HELP: [0.3, 0.1, 0.2], BARE_IMPORT: [0.1]}, workers)
    helped, analytics, _, history = startup_results(found)

    assert (helped.ratio, helped.held) == (2.0, True)
    assert (analytics.held, history.held) == (True, False)


def test_footprint_tells_bytes_of_state_for_each_of_input() -> None:
    found = Footprint(500, 9_000, 2, 10, state_bytes=30, input_bytes=100)
    hot, snapshot, bars, changelog = footprint_results(found)

    assert (hot.held, snapshot.held, bars.held, changelog.held) == (True, False, False, True)
    assert changelog.ours == 0.3


def test_hot_state_of_a_product_stays_small_over_a_day() -> None:
    assert 0 < most_hot(4_000) < HOT_LIMIT_BYTES


def test_the_report_is_one_document() -> None:
    report = Report([at_most("x", "bytes", 2, 1)], details={"memory": {}})

    told = report.document()
    assert told["results"][0] | {"held": False, "ratio": 2.0} == told["results"][0]
    assert told["memory"] == {}
