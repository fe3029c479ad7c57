"""Surfaces put together by verify: as the core makes them, and nothing wrong goes unseen."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from optionstream.schemas import documents, topics
from optionstream.schemas.codec import decode, encode, headers_for
from optionstream.schemas.derived import ChainAnalytics, IvMode, VolatilitySurface
from optionstream.schemas.events import ChainSnapshot, MarketEvent
from optionstream.streams.core.chains.analyse import ChainAnalyser
from optionstream.streams.core.chains.partition import ChainPartition
from optionstream.streams.core.intake import Output, Source
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.quotes.partition import QuotePartition
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.surface.surfaces import ProductSurfaces
from optionstream.streams.verify.report import Difference, Report
from optionstream.streams.verify.surface.facts import (
    facts_of_document,
    facts_of_surface,
    id_of,
    surface_apart,
)
from tests.harness.feed_files import chains_of
from tests.unit.streams.core.surface.building import FAR, NEAR, NEXT, body, quoted, quotes, wild
from tests.unit.streams.verify.world import LATENESS, PARTITIONS, Log, Stores, as_json, kinds
from tests.unit.streams.wild_chains import WildChains

SharedData = Callable[[str], Path]
TOPIC, MONGO = "kafka analytics.surface", "mongo volatility_surfaces"
_CHAINS = "kafka analytics.chain"
_WILDEST = 1e-7
"""Of wild chains: seconds before expiry, far from the money."""


def analysed(chains: Sequence[ChainSnapshot]) -> list[ChainAnalytics]:
    """Return in their order those that the stream would take once."""
    analyser = ChainAnalyser(Rules(nse_calendar()))
    found = {one.id: one for one in map(analyser.analyse, chains)}
    return list(found.values())


def made(chains: list[ChainAnalytics]) -> list[VolatilitySurface]:
    product = ProductSurfaces()
    return [surface for chain in chains for surface in product.add_chain(chain)]


def logged(events: Iterable[MarketEvent]) -> Log:
    log = Log()
    for event in events:
        log.add(event)
    return log


def streamed(log: Log, mode: IvMode = "black76") -> list[Output]:
    """Return what the core makes of a log of one product's chains, or quotes."""
    first = log.records[0]
    kind = {topics.OPTION_CHAIN: ChainPartition, topics.OPTION_QUOTE: QuotePartition}[first.topic]
    source = Source(first.topic, first.partition, PARTITIONS)
    rules = Rules(nse_calendar(), LATENESS, quote_cadence_ms=1_000, iv_mode=mode)
    return kind(source, rules).apply(log.records)  # type: ignore[arg-type]


def told_forms(surface: VolatilitySurface) -> list[dict[str, Any]]:
    """The facts of a record off the wire, of its document, and of the document in JSON."""
    wired = decode(encode(surface), headers_for(surface))
    assert isinstance(wired, VolatilitySurface)
    document = documents.surface_document(wired)
    return [
        facts_of_surface(wired),
        facts_of_document(document),
        facts_of_document(as_json(document)),
    ]


def assert_agree(events: Iterable[MarketEvent], mode: IvMode = "black76") -> None:
    log = logged(events)
    records = [output.record for output in streamed(log, mode)]
    found = [one for one in records if isinstance(one, VolatilitySurface)]
    wanted = log.expectation(iv_mode=mode).surfaces()
    assert [one.id for one in found] == list(wanted)
    for surface in found:
        assert wanted[surface.id].rounding < _WILDEST
        for form in told_forms(surface):
            assert id_of(form) == surface.id
            assert surface_apart(wanted[surface.id], form) == {}


@pytest.mark.parametrize("mode", ["black76", "nse"])
@pytest.mark.parametrize("seed", range(40))
def test_the_surfaces_of_wild_captures_agree(seed: int, mode: IvMode) -> None:
    assert_agree(wild(random.Random(seed)), mode)


@pytest.mark.parametrize("mode", ["black76", "nse"])
@pytest.mark.parametrize("seed", range(40))
def test_the_surfaces_of_wild_chains_agree(seed: int, mode: IvMode) -> None:
    """Chains of several expiries with everything wrong that real ones have."""
    rng = random.Random(seed)
    feeds = [WildChains(rng) for _ in range(3)]
    for number, feed in enumerate(feeds):
        feed.product, feed.expiry = "NIFTY", f"2024-01-{4 + 7 * number:02d}"
    chains = [
        msgspec.structs.replace(
            rng.choice(feeds).next(), expiries_in_capture=rng.choice([1, 1, 2, 3])
        )
        for _ in range(25)
    ]
    assert_agree(chains, mode)


@pytest.mark.parametrize("seed", range(40))
def test_the_surfaces_of_quotes_agree(seed: int) -> None:
    """Chains of two expiries, each at its own watermark: the log alone gives their order."""
    assert_agree(quotes(random.Random(seed)))


def test_a_dense_surface_agrees_in_every_cell() -> None:
    chains = [quoted(one, **{**body("a", 3), "strikes": _DENSE}) for one in _EXPIRIES]
    (surface,) = made(analysed(chains))
    cells = [iv for row in surface.iv for iv in row]
    assert sum(iv is not None for iv in cells) > 60
    assert_agree(chains)


_DENSE = [22_000.0 + 50 * step for step in range(180)]
_EXPIRIES = (NEAR, NEXT, FAR)


# -- nothing is taken from the outputs -----------------------------------------------------------


def stored(log: Log) -> Stores:
    """Return the stores that hold what the core makes of a log."""
    stores = Stores()
    stores.log = log
    for output in streamed(log):
        if isinstance(output.record, ChainAnalytics):
            stores.put_chain(output.record)
        elif isinstance(output.record, VolatilitySurface):
            stores.put_surface(output.record)
    return stores


def of_surfaces(report: Report) -> list[Difference]:
    """Return the differences of surfaces in Kafka, MongoDB and Redis."""
    return [one for one in report.differences if "surface" in one.where + one.id]


def world(seed: int) -> tuple[random.Random, Stores]:
    """Captures of three expiries; for every fifth seed quotes of two."""
    rng = random.Random(seed)
    return rng, stored(logged(wild(rng) if seed % 5 else quotes(rng)))


@pytest.mark.parametrize("seed", range(20))
def test_surfaces_are_right_however_late_a_chain_comes_out(seed: int) -> None:
    """An output that was refused at first comes behind those that were sent after it."""
    rng, stores = world(seed)
    chains = [at for at, one in enumerate(stores.outputs) if one.topic == topics.CHAIN]
    at = rng.randrange(len(chains) - 2)
    stores.outputs.insert(chains[at + 2], stores.outputs.pop(chains[at]))
    assert of_surfaces(stores.verify()) == []


@pytest.mark.parametrize("seed", range(10))
def test_surfaces_are_right_though_chains_are_lost(seed: int) -> None:
    rng, stores = world(seed)
    stores.outputs = [
        one for one in stores.outputs if one.topic != topics.CHAIN or rng.random() < 0.5
    ]
    report = stores.verify()
    assert f"missing {_CHAINS}" in kinds(report)
    assert of_surfaces(report) == []


def test_a_chain_with_other_volatilities_does_not_bear_out_a_surface_made_of_it() -> None:
    stores = day(surfaces=False)
    told = []
    for one in _chains_told(stores):
        greeks = one.call_greeks
        off = [None if iv is None else iv * 1.001 for iv in greeks.iv]
        greeks = msgspec.structs.replace(greeks, iv=off)
        told.append(msgspec.structs.replace(one, call_greeks=greeks))
    stores.outputs = []
    for chain in told:
        stores.put(topics.CHAIN, topics.chain_key(chain.product, chain.expiry), chain)
    for surface in made(told):
        stores.put_surface(surface)
    assert {f"different {_CHAINS}", f"different {TOPIC}"} <= kinds(stores.verify())


# -- what is seen ---------------------------------------------------------------------------------


def day(surfaces: bool = True) -> Stores:
    """Two captures of two expiries, and what comes of them."""
    stores = Stores()
    bodies = (body("a", 2), body("b", 2, body("a", 2)["ts"] + 60_000))  # type: ignore[operator]
    chains = [quoted(expiry, **one) for one in bodies for expiry in (NEAR, NEXT)]
    for chain in chains:
        stores.log.add(chain)
    told = analysed(chains)
    for one in told:
        stores.put_chain(one)
    if surfaces:
        for surface in made(told):
            stores.put_surface(surface)
    return stores


def test_surfaces_that_are_right_show_no_difference() -> None:
    report = day().verify()
    assert report.differences == []
    assert report.checked["surfaces"] == report.checked["mongo_surfaces"] == 2


def test_surfaces_that_are_missing_are_reported_everywhere() -> None:
    report = day(surfaces=False).verify()
    assert kinds(report) == {f"missing {place}" for place in (TOPIC, MONGO, "redis")}
    assert report.difference_totals[f"{TOPIC}: missing"] == 2


def test_a_namespace_without_the_topic_is_not_asked_for_surfaces() -> None:
    stores = day(surfaces=False)
    stores.partitions[topics.SURFACE] = 0
    report = stores.verify()
    assert report.differences == []
    assert report.checked["surfaces"] == 0


def test_surfaces_told_twice_alike_are_no_difference() -> None:
    stores = day()
    stores.outputs += stores.outputs
    assert stores.verify().ok


_WRONG: list[dict[str, Any]] = [
    {"ts_event": 5},
    {"ts_recv": 5},
    {"capture_id": "x"},
    {"iv_mode": "nse"},
    {"expiries_in_capture": 3},
    {"expiries_captured": 1},
    {"smiles": []},
    {"left_out": {"2026-01-13": "expired"}},
    {"tenors_days": [1, 2, 3, 4, 5]},
    {"log_moneyness": []},
    {"iv": [[None] * 21] * 5},
    {"reason": [[None] * 21] * 5},
    {"flags": ["calendar_arbitrage"]},
]


@pytest.mark.parametrize("changed", _WRONG, ids=lambda one: next(iter(one)))
def test_a_wrong_surface_is_different_everywhere(changed: dict[str, Any]) -> None:
    stores = day(surfaces=False)
    for surface in made(_chains_told(stores)):
        stores.put_surface(msgspec.structs.replace(surface, **changed))
    report = stores.verify()
    assert kinds(report) == {f"different {place}" for place in (TOPIC, MONGO, "redis")}
    assert all(set(changed) <= set(one.actual) for one in report.differences)


def test_a_surface_of_another_number_is_another_one() -> None:
    stores = day(surfaces=False)
    first, second = made(_chains_told(stores))
    stores.put_surface(first)
    stores.put_surface(msgspec.structs.replace(second, number=7))
    wanted = {f"{kind} {place}" for kind in ("missing", "surplus") for place in (TOPIC, MONGO)}
    assert kinds(stores.verify()) == wanted | {"different redis"}


@pytest.mark.parametrize(
    "name", ["years", "forward", "atm_iv", "risk_reversal_25", "butterfly_25", "strikes", "iv"]
)
def test_a_wrong_figure_of_a_smile_is_seen(name: str) -> None:
    stores = day(surfaces=False)
    for surface in made(_chains_told(stores)):
        first, *others = surface.smiles
        value = getattr(first, name)
        wrong = [*value[:-1], value[-1] * 1.001] if isinstance(value, list) else _off(value)
        smiles = [msgspec.structs.replace(first, **{name: wrong}), *others]
        stores.put_surface(msgspec.structs.replace(surface, smiles=smiles))
    assert f"different {TOPIC}" in kinds(stores.verify())


def test_a_surface_too_many_is_surplus_everywhere() -> None:
    stores = day()
    surface = made(_chains_told(stores))[-1]
    stores.put_surface(msgspec.structs.replace(surface, product="X"))
    assert f"surplus {MONGO}" in kinds(stores.verify())
    assert "surplus redis" in kinds(stores.verify())


def test_live_surfaces_may_have_expired() -> None:
    stores = day()
    stores.namespace = topics.Namespace("live")
    del stores.redis["volatility_surface:NIFTY"]
    assert "missing redis" not in kinds(stores.verify())


@pytest.mark.parametrize("changed", [{"years": -1.0}, {"forward": -5.0}, {"forward": 0.0}])
def test_a_chain_told_with_impossible_figures_is_reported(changed: dict[str, Any]) -> None:
    stores = day(surfaces=False)
    told = [msgspec.structs.replace(one, **changed) for one in _chains_told(stores)]
    stores.outputs = []
    for one in told:
        stores.put(topics.CHAIN, topics.chain_key(one.product, one.expiry), one)
    assert "different kafka analytics.chain" in kinds(stores.verify())


def test_a_document_that_is_no_surface_is_reported() -> None:
    stores = day()
    stores.mongo[documents.SURFACES].rows[0] = {"_id": "x"}
    assert kinds(stores.verify()) == {f"unreadable {MONGO}", f"missing {MONGO}"}


def _off(value: float | None) -> float:
    return 0.001 if value is None else value * 1.001 + 1e-6


def _chains_told(stores: Stores) -> list[ChainAnalytics]:
    found = [decode(one.value, one.headers) for one in stores.outputs]
    return [one for one in found if isinstance(one, ChainAnalytics)]


def test_the_surfaces_of_a_real_day_agree_and_are_those_of_its_chains(
    shared_data: SharedData,
) -> None:
    """Bodies of the exchange with up to 18 expiries."""
    folder = shared_data("nse-json-intraday-nifty-2025/json")
    paths = sorted(folder.iterdir())[:6]
    snapshots = [chain for path in paths for chain in chains_of(path)]
    chains = analysed(snapshots)
    surfaces = made(chains)
    assert len(surfaces) >= 3
    assert_agree(snapshots)
    at_the_money = {(one.expiry, one.snapshot_id): one.atm_iv for one in chains}
    for surface in surfaces:
        assert len(surface.smiles) > 5
        for smile in surface.smiles[:3]:
            beside = at_the_money[smile.expiry, smile.snapshot_id]
            assert smile.atm_iv is not None
            assert smile.atm_iv == pytest.approx(beside, abs=0.01)
