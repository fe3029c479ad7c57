"""A wrong figure in any field of a chain's analytics is found, in Kafka, MongoDB and Redis."""

from __future__ import annotations

from collections.abc import Callable
from math import nextafter
from typing import Any, get_type_hints

import msgspec
import pytest

from optionstream.schemas import redis_keys
from optionstream.schemas.derived import GREEK_COLUMNS, ChainAnalytics, Greeks
from optionstream.schemas.documents import chain_document, option_documents, pcr_document
from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot, Legs
from optionstream.streams.core.chains.analyse import ExpiryChains
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.rules import Rules
from optionstream.streams.verify.chains.facts import ChainFacts, facts_of_document, facts_of_record
from optionstream.streams.verify.chains.history import ChainHistory
from optionstream.streams.verify.chains.judge import chain_apart
from optionstream.streams.verify.chains.latest import latest_chains
from optionstream.streams.verify.chains.recomputed import recomputed
from optionstream.streams.verify.latest import compare_latest
from optionstream.streams.verify.report import Differences
from tests.unit.streams.verify.world import OPEN, as_json, floats, rules, snapshot

STRIKES = [21_600.0, 21_700.0, 21_800.0, 21_900.0]
NEITHER = ("known_at", "custom_indicators")
"""Not compared."""


def side(oi: list[float | None], price: list[float | None]) -> Legs:
    columns = {"oi": oi, "oi_change": oi, "volume": oi, "iv": price, "last": price}
    none: list[float | None] = [None] * len(oi)
    return Legs(*(floats(columns.get(name, none)) for name in LEG_COLUMNS))


def chain(ts_event: int = OPEN, **changed: Any) -> ChainSnapshot:
    """One with a leg that has no volatility, one without price and one that is missing."""
    calls = side([10, 20, 30, 40], [190, 110, 60, None])
    puts = side([5, 40, 15, None], [60, 80, 5, None])
    return snapshot(STRIKES, calls, puts, ts_event, **changed)


def outcome(*chains: ChainSnapshot) -> tuple[ChainFacts, ChainAnalytics]:
    """Of the last snapshot: what verify demands and what the core told."""
    history, core = ChainHistory(), ExpiryChains()
    for one in chains:
        record = core.analyse(one, Rules(nse_calendar()), known_at=OPEN)
        wanted = recomputed(history.add_snapshot(one), rules(), 5)
    return wanted, msgspec.structs.replace(record, oldest_leg_ms=5)


WANTED, TOLD = outcome(chain(), chain(OPEN + 1, underlying_price=21_650.0))


def told_as(record: ChainAnalytics) -> list[ChainFacts]:
    document = as_json(chain_document(record))
    return [facts_of_record(record), facts_of_document(document)]


def test_the_example_is_right_and_has_everything() -> None:
    for told in told_as(TOLD):
        assert chain_apart(WANTED, told) == {}
    assert {TOLD.put_greeks.reason[2], TOLD.call_greeks.reason[3]} == {
        "below_intrinsic",
        "no_price",
    }
    assert (TOLD.missing_legs, TOLD.legs_with_iv, TOLD.flags) == (
        1,
        5,
        ["below_intrinsic", "missing_legs"],
    )


def test_the_figures_at_the_money_are_judged_at_the_forward_told() -> None:
    # The forward, 21,650, lies between the strikes: its last bit decides which one is at the money.
    calls, puts = side([1, 2], [90, 30]), side([3, 4], [40, 80])
    wanted, record = outcome(snapshot([21_600.0, 21_700.0], calls, puts))
    assert (record.forward, record.atm_strike, record.straddle) == (21_650.0, 21_600.0, 130.0)
    ivs = record.call_greeks.iv[1], record.put_greeks.iv[1]
    assert ivs[0] is not None and ivs[1] is not None
    changes: dict[str, Any] = {"forward": nextafter(21_650.0, 30_000.0), "atm_strike": 21_700.0}
    changes |= {"straddle": 110.0, "atm_iv": (ivs[0] + ivs[1]) / 2}
    assert chain_apart(wanted, facts_of_record(msgspec.structs.replace(record, **changes))) == {}
    changes["forward"] = 21_650.0
    found = chain_apart(wanted, facts_of_record(msgspec.structs.replace(record, **changes)))
    assert set(found) == {"atm_strike", "straddle", "atm_iv"}


def wrong_value(value: Any) -> Any:
    """Another value of the same kind, near by where there is a near by."""
    match value:
        case bool():
            return not value
        case float():
            return value + max(abs(value), 1.0) * 1e-8
        case int():
            return value + 1
        case str():
            return value + "x"
        case list():
            return value[:-1] if value else ["stale"]
        case dict():
            return {**value, "x": "y"}
    return 1.0


FIELDS = [
    name
    for name in ChainAnalytics.__struct_fields__
    if name not in (*NEITHER, "strikes", "calls", "puts", "call_greeks", "put_greeks")
]


@pytest.mark.parametrize("name", FIELDS)
def test_a_wrong_field_is_found(name: str) -> None:
    value = getattr(TOLD, name)
    may_be_null = "None" in str(get_type_hints(ChainAnalytics)[name]) and value is not None
    for wrong in [wrong_value(value), None] if may_be_null else [wrong_value(value)]:
        for told in told_as(msgspec.structs.replace(TOLD, **{name: wrong})):
            assert name in chain_apart(WANTED, told)


@pytest.mark.parametrize("name", NEITHER)
def test_what_is_not_compared(name: str) -> None:
    wrong = {"custom_indicators": {"mine": {"x": 1.0}}, "known_at": 7}[name]
    reasons = {**TOLD.null_reasons, "custom_indicators.other": "ValueError"}
    record = msgspec.structs.replace(TOLD, **{name: wrong, "null_reasons": reasons})
    for told in told_as(record):
        assert chain_apart(WANTED, told) == {}


def with_leg(part: str, name: str, at: int, change: Callable[[Any], Any]) -> ChainAnalytics:
    columns: Legs | Greeks = getattr(TOLD, part)
    column = list(getattr(columns, name))
    column[at] = change(column[at])
    return msgspec.structs.replace(
        TOLD, **{part: msgspec.structs.replace(columns, **{name: column})}
    )


LEGS = [("calls", at) for at in range(4)] + [("puts", at) for at in range(3)]


@pytest.mark.parametrize("name", LEG_COLUMNS)
@pytest.mark.parametrize(("part", "at"), LEGS)
def test_a_wrong_figure_of_a_leg_is_found(part: str, at: int, name: str) -> None:
    for told in told_as(with_leg(part, name, at, wrong_value)):
        assert "legs" in chain_apart(WANTED, told)


@pytest.mark.parametrize("name", GREEK_COLUMNS)
@pytest.mark.parametrize(
    ("part", "at"), [({"calls": "call_greeks"}.get(part, "put_greeks"), at) for part, at in LEGS]
)
def test_a_wrong_computed_figure_is_found(part: str, at: int, name: str) -> None:
    value = getattr(getattr(TOLD, part), name)[at]
    if name == "reason":
        changes: list[Any] = ["no_price" if value is None else "expired"]
    elif value is None:
        changes = [1.0]
    else:
        changes = [value + abs(value) * 2e-8 if value else 1.0, None]
    field = {"reason": "reasons"}.get(name, name)
    for change in changes:
        for told in told_as(with_leg(part, name, at, lambda _, to=change: to)):
            assert field in chain_apart(WANTED, told)


def test_figures_of_a_leg_that_is_missing_are_found() -> None:
    for name in ("iv", "gex", "oi_intraday", "reason"):
        value = "no_price" if name == "reason" else 1.0
        told = facts_of_record(with_leg("put_greeks", name, 3, lambda _, to=value: to))
        assert {"reason": "reasons"}.get(name, name) in chain_apart(WANTED, told)


@pytest.mark.parametrize("name", ["strikes", "calls", "put_greeks"])
def test_columns_of_the_wrong_length_are_found(name: str) -> None:
    part = getattr(TOLD, name)
    if isinstance(part, list):
        shorter: Any = part[:-1]
    else:
        first = part.__struct_fields__[0]
        shorter = msgspec.structs.replace(part, **{first: getattr(part, first)[:-1]})
    told = facts_of_record(msgspec.structs.replace(TOLD, **{name: shorter}))
    assert "legs" in chain_apart(WANTED, told)


def test_a_document_with_a_strange_row_is_none() -> None:
    document = chain_document(TOLD)
    for rows in (
        [*document["calls"], document["calls"][0]],
        [{**document["calls"][0], "strike": 1.0}],
    ):
        with pytest.raises(ValueError, match="two rows"):
            facts_of_document({**document, "calls": rows})


# -- Redis ----------------------------------------------------------------------------------------


def redis_of(record: ChainAnalytics) -> dict[str, dict[str, Any] | None]:
    """What a correct sink writes for one chain."""
    place = record.product, record.expiry
    options = {redis_keys.option(one["symbol"]): as_json(one) for one in option_documents(record)}
    return {
        redis_keys.chain(*place): as_json(chain_document(record)),
        redis_keys.pcr(*place): as_json(pcr_document(record)),
        **options,
    }


def found_in_redis(
    expected: list[ChainFacts], values: dict[str, dict[str, Any] | None], *, live: bool = False
) -> dict[tuple[str, str], int]:
    differences = Differences()
    compare_latest(latest_chains(expected), values, differences, live=live)
    assert len(differences.listed) == differences.totals.total()
    return {(one.kind, one.id): 1 for one in differences.listed}


OPTION = "latest:option:NIFTY04JAN2421700CE"
PCR = "latest:pcr:NIFTY:2024-01-04"
CHAIN = "latest:chain:NIFTY:2024-01-04"


def test_what_a_correct_sink_writes_is_right() -> None:
    values = redis_of(TOLD)
    assert len(values) == 2 + 7
    assert found_in_redis([WANTED], values) == {}


@pytest.mark.parametrize("key", [OPTION, PCR, CHAIN])
def test_a_key_that_is_lacking_is_missing(key: str) -> None:
    values = redis_of(TOLD)
    del values[key]
    assert found_in_redis([WANTED], values) == {("missing", key): 1}
    assert found_in_redis([WANTED], values, live=True) == (
        {} if key == PCR else {("missing", key): 1}
    )


@pytest.mark.parametrize("key", [f"{OPTION}x", f"{PCR}x", f"{CHAIN}x"])
def test_a_key_too_many_is_surplus(key: str) -> None:
    assert found_in_redis([WANTED], {**redis_of(TOLD), key: {}}) == {("surplus", key): 1}


@pytest.mark.parametrize("value", [None, {}, {"forward": 1.0}, {"metadata": 1}])
@pytest.mark.parametrize("key", [OPTION, PCR, CHAIN])
def test_a_value_of_another_shape_is_different(key: str, value: dict[str, Any] | None) -> None:
    values = redis_of(TOLD)
    assert found_in_redis([WANTED], {**values, key: value}) == {("different", key): 1}


def places(document: dict[str, Any], *path: str) -> list[tuple[str, ...]]:
    """The path of every value that is no mapping."""
    return [
        place
        for name, value in document.items()
        for place in (
            places(value, *path, name) if isinstance(value, dict) and value else [(*path, name)]
        )
    ]


def changed(document: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    name, *rest = path
    inner = document[name]
    if name == "timestamp":
        return {**document, name: "2024-01-01T09:15:00.007+05:30"}
    return {**document, name: changed(inner, tuple(rest)) if rest else wrong_value(inner)}


@pytest.mark.parametrize("key", [OPTION, PCR, OPTION.replace("21700CE", "21800PE")])
def test_every_value_in_redis_counts(key: str) -> None:
    values = redis_of(TOLD)
    document = values[key]
    assert document is not None
    for path in places(document):
        if path != ("known_at",):
            wrong = {**values, key: changed(document, path)}
            assert found_in_redis([WANTED], wrong) == {("different", key): 1}, path


def test_a_leg_that_the_newest_chain_lacks_stays_from_the_chain_before() -> None:
    fewer = side([10, None, 30, 40], [190, None, 60, None])
    first, second = chain(), chain(OPEN + 1)
    second = msgspec.structs.replace(second, calls=fewer)
    (older, told_older), (newer, told_newer) = outcome(first), outcome(first, second)
    values = {**redis_of(told_older), **redis_of(told_newer)}
    assert values[OPTION] == redis_of(told_older)[OPTION]
    assert found_in_redis([older, newer], values) == {}
    stale = {**values, **redis_of(told_older)}
    found = found_in_redis([older, newer], stale)
    assert ("different", OPTION) not in found
    assert ("different", OPTION.replace("21700CE", "21600CE")) in found
