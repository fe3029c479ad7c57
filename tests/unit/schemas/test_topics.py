"""Namespaces keep apart, products keep together."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2 as reference
from hypothesis import given
from hypothesis import strategies as st

from optionstream.schemas.errors import NamespaceError
from optionstream.schemas.redis_keys import trading_symbol
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import ALL_TOPICS, Namespace, murmur2, partition_for


@given(st.binary(max_size=40))
def test_the_hash_is_that_of_kafkas_java_client(data: bytes) -> None:
    assert murmur2(data) == reference(data) & 0xFFFFFFFF


def test_the_main_products_spread_over_the_default_partitions() -> None:
    default = Settings.__dataclass_fields__["partitions"].default
    main = {partition_for(name, default) for name in ("NIFTY", "BANKNIFTY", "FINNIFTY", "SENSEX")}
    assert len(main) == 4


def test_live_has_no_prefix_and_no_two_namespaces_share_a_name() -> None:
    live, sim, replay = (Namespace.parse(name) for name in ("live", "sim", "d1"))
    assert live.topic("market.underlying") == "market.underlying"
    for part in ("topic", "group", "redis"):
        names = {getattr(at, part)(name) for at in (live, sim, replay) for name in ALL_TOPICS}
        assert len(names) == 3 * len(ALL_TOPICS)
    assert len({at.mongo_db for at in (live, sim, replay)}) == 3
    assert all(replay.base_topic(replay.topic(name)) == name for name in ALL_TOPICS)
    assert [at.is_live for at in (live, sim, replay)] == [True, True, False]


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "a-", "x" * 41, "a.b", "ü"])
def test_a_bad_namespace_is_refused_by_name(name: str) -> None:
    with pytest.raises(NamespaceError, match="use 1 to 40"):
        Namespace.parse(name)


@pytest.mark.parametrize(
    ("strike", "symbol"),
    [
        (24600.0, "NIFTY28OCT2524600CE"),
        (100000.5, "NIFTY28OCT25100000.5CE"),
        (7.25, "NIFTY28OCT257.25CE"),
    ],
)
def test_trading_symbols_name_underlying_expiry_strike_and_kind(strike: float, symbol: str) -> None:
    assert trading_symbol("NIFTY", "2025-10-28", strike, "CE") == symbol
