"""Surfaces put together by verify: as the core makes them, and nothing wrong goes unseen."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from optionstream.schemas import documents, topics
from optionstream.schemas.codec import decode, encode, headers_for
from optionstream.schemas.derived import ChainAnalytics, IvMode, VolatilitySurface
from optionstream.schemas.events import ChainSnapshot
from optionstream.streams.core.chains.offline import ChainAnalyser
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.surface.surfaces import ProductSurfaces
from optionstream.streams.verify.chains.facts import facts_of_record
from optionstream.streams.verify.surface.compare import agrees
from optionstream.streams.verify.surface.expected import Chain, expected_surfaces
from optionstream.streams.verify.surface.facts import facts_of_document, facts_of_surface, id_of
from tests.unit.core.surface.building import FAR, NEAR, NEXT, quoted
from tests.unit.core.surface.test_surfaces import body, wild
from tests.unit.producers.builders import chains_of
from tests.unit.verify.world import Stores, as_json, kinds
from tests.unit.wild_chains import WildChains

SharedData = Callable[[str], Path]
TOPIC, MONGO = "kafka analytics.surface", "mongo volatility_surfaces"


def analysed(chains: list[ChainSnapshot], mode: IvMode = "black76") -> list[ChainAnalytics]:
    """In their order, those that the stream would take once."""
    analyser = ChainAnalyser(Rules(nse_calendar(), iv_mode=mode))
    found = {one.id: one for one in map(analyser.analyse, chains)}
    return list(found.values())


def made(chains: list[ChainAnalytics]) -> list[VolatilitySurface]:
    product = ProductSurfaces()
    return [surface for chain in chains for surface in product.add(chain)]


def expected(chains: list[ChainAnalytics]) -> Mapping[str, Any]:
    return expected_surfaces(Chain(facts_of_record(one), one.strikes) for one in chains)


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


def assert_agree(chains: list[ChainAnalytics]) -> None:
    wanted, surfaces = expected(chains), made(chains)
    assert [one.id for one in surfaces] == list(wanted)
    for surface in surfaces:
        for told in told_forms(surface):
            assert id_of(told) == surface.id
            assert told.keys() == wanted[surface.id].keys()
            for name, value in wanted[surface.id].items():
                assert agrees(value, told[name]), name


@pytest.mark.parametrize("mode", ["black76", "nse"])
@pytest.mark.parametrize("seed", range(40))
def test_the_surfaces_of_wild_captures_agree(seed: int, mode: IvMode) -> None:
    assert_agree(analysed(wild(random.Random(seed)), mode))


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
    assert_agree(analysed(chains, mode))


def test_a_dense_surface_agrees_in_every_cell() -> None:
    chains = analysed([quoted(one, **{**body("a", 3), "strikes": _DENSE}) for one in _EXPIRIES])
    (surface,) = made(chains)
    cells = [iv for row in surface.iv for iv in row]
    assert sum(iv is not None for iv in cells) > 60
    assert_agree(chains)


_DENSE = [22_000.0 + 50 * step for step in range(180)]
_EXPIRIES = (NEAR, NEXT, FAR)


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
    stores.without = topics.SURFACE
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
    chains = analysed([chain for path in paths for chain in chains_of(path)])
    surfaces = made(chains)
    assert len(surfaces) >= 3
    assert_agree(chains)
    at_the_money = {(one.expiry, one.snapshot_id): one.atm_iv for one in chains}
    for surface in surfaces:
        assert len(surface.smiles) > 5
        for smile in surface.smiles[:3]:
            beside = at_the_money[smile.expiry, smile.snapshot_id]
            assert smile.atm_iv is not None
            assert smile.atm_iv == pytest.approx(beside, abs=0.01)
