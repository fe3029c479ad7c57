"""The exchange's option-chain JSON becomes chain snapshots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.producers.feeds.chains.nse_json import chain_snapshots
from optionstream.schemas.checks import check_chain
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot
from optionstream.schemas.identity import snapshot_id
from tests.harness.feed_files import (
    NO_HINTS,
    at,
    body,
    chains_of,
    events_of,
    fed,
    leg,
    packed,
    row,
    written,
)


def _one(path: Path, content: Any, hints: FeedHints = NO_HINTS) -> ChainSnapshot:
    (chain,) = chains_of(written(path / "body", content), hints)
    return chain


@pytest.mark.parametrize("how", ["plain", "gzip", "zstd"])
def test_the_format_is_told_by_content_whatever_the_name(tmp_path: Path, how: str) -> None:
    content = json.dumps(body([row(26000)])).encode()
    feed = open_feed(written(tmp_path / "x.csv", packed(content, how)), NO_HINTS)
    assert feed.format == "nse-option-chain-json"
    assert len(list(feed.events())) == 1


def test_a_body_says_product_time_unit_and_underlying(tmp_path: Path) -> None:
    chain = _one(tmp_path, body([row(26000)]))
    assert (chain.product, chain.source, chain.oi_unit) == ("NIFTY", "nse", "lots")
    assert chain.expiry == "2026-01-13"
    assert chain.ts_event == chain.ts_recv == at("2026-01-06 10:31:07")
    assert chain.underlying_price == 26000.4
    assert chain.expiries_in_capture == 1
    assert (chain.seq, chain.session) == (None, "")


def test_each_expiry_becomes_a_snapshot_of_one_capture(tmp_path: Path) -> None:
    rows = [row(26000, "27-Jan-2026"), row(26000, "13-Jan-2026"), row(26050, "13-Jan-2026")]
    chains = chains_of(written(tmp_path / "a", body(rows)))
    assert [chain.expiry for chain in chains] == ["2026-01-13", "2026-01-27"]
    assert [len(chain.strikes) for chain in chains] == [2, 1]
    assert {chain.expiries_in_capture for chain in chains} == {2}
    assert len({chain.capture_id for chain in chains}) == 1


def test_the_capture_is_named_by_content_alone(tmp_path: Path) -> None:
    first = _one(tmp_path, body([row(26000)]))
    again = _one(tmp_path, body([row(26000)]))
    other = _one(tmp_path, body([row(26050)]))
    assert first == again
    assert first.capture_id != other.capture_id


def test_strikes_rise_and_legs_follow_them(tmp_path: Path) -> None:
    rows = [row(strike, CE=leg(openInterest=strike)) for strike in (26100, 25900, 26000)]
    chain = _one(tmp_path, body(rows))
    assert chain.strikes == [25900, 26000, 26100] == chain.calls.oi


def test_a_missing_leg_is_none_in_every_column(tmp_path: Path) -> None:
    chain = _one(tmp_path, body([row(26000, CE=leg()), row(26050, PE=leg())]))
    assert [getattr(chain.calls, name)[1] for name in LEG_COLUMNS] == [None] * 7
    assert [getattr(chain.puts, name)[0] for name in LEG_COLUMNS] == [None] * 7
    assert chain.calls.oi[0] == chain.puts.oi[1] == 120


def test_zero_prices_and_volatility_mean_none_but_zero_interest_is_a_figure(
    tmp_path: Path,
) -> None:
    zeros = dict.fromkeys(
        ["openInterest", "changeinOpenInterest", "totalTradedVolume", "impliedVolatility",
         "lastPrice", "bidprice", "askPrice"],
        0,
    )  # fmt: skip
    legs = _one(tmp_path, body([row(26000, CE=leg(**zeros), PE=leg())])).calls
    assert (legs.oi, legs.oi_change, legs.volume) == ([0], [0], [0])
    assert (legs.iv, legs.last, legs.bid, legs.ask) == ([None], [None], [None], [None])


def test_fractional_open_interest_is_kept(tmp_path: Path) -> None:
    chain = _one(tmp_path, body([row(26000, PE=leg(openInterest=13 / 3))]))
    assert chain.puts.oi == [13 / 3]


def test_an_underlying_of_zero_means_none(tmp_path: Path) -> None:
    assert _one(tmp_path, body([row(26000)], underlyingValue=0)).underlying_price is None


@pytest.mark.parametrize(
    ("call", "put", "mixed"),
    [
        (26000.4, 26000.4, False),
        (26000.4, 26001.0, True),
        (26000.4, 0, False),
        (26000.4, None, False),
        (0, 0, False),
    ],
)
def test_legs_that_tell_different_underlyings_make_their_expiry_mixed(
    tmp_path: Path, call: float, put: float | None, mixed: bool
) -> None:
    told = row(26000, CE=leg(underlyingValue=call), PE=leg(underlyingValue=put))
    rows = [told, row(26000, "27-Jan-2026", CE=leg(underlyingValue=call))]
    near, far = chains_of(written(tmp_path / "a", body(rows)))
    assert (near.mixed_underlying, far.mixed_underlying) == (mixed, False)
    assert near.underlying_price == far.underlying_price == 26000.4


def test_filtered_may_be_missing(tmp_path: Path) -> None:
    content = body([row(26000)])
    del content["filtered"]
    assert _one(tmp_path, content).strikes == [26000]


def test_the_new_endpoint_is_read_like_the_old_one(tmp_path: Path) -> None:
    new_leg = leg(expiryDate="13-01-2026", buyPrice1=101.2, sellPrice1=101.9, PChange=0, pChange=0)
    del new_leg["bidprice"], new_leg["askPrice"]
    new_row = {"expiryDates": "13-Jan-2026", "strikePrice": 26000, "CE": new_leg, "PE": new_leg}
    new = _one(tmp_path, {"time": 1, "data": body([new_row])})
    old = _one(tmp_path, body([row(26000)]))
    assert snapshot_id(new) == snapshot_id(old)
    assert new.expiry == old.expiry


def test_an_expiry_may_come_from_a_leg(tmp_path: Path) -> None:
    nameless = {"strikePrice": 26000, "PE": leg(expiryDate="13-01-2026")}
    assert _one(tmp_path, body([nameless])).expiry == "2026-01-13"


@pytest.mark.parametrize(
    ("index", "product"),
    [("NIFTY BANK", "BANKNIFTY"), ({"indexSymbol": "NIFTY 50"}, "NIFTY"), ("SENSEX", "SENSEX")],
)
def test_without_legs_that_say_it_the_index_names_the_product(
    tmp_path: Path, index: object, product: str
) -> None:
    silent = leg()
    del silent["underlying"]
    assert _one(tmp_path, body([row(26000, CE=silent)], index=index)).product == product


def test_what_the_body_does_not_say_comes_from_hints(tmp_path: Path) -> None:
    silent = leg()
    del silent["underlying"], silent["expiryDate"]
    rows = [{"strikePrice": 26000, "CE": silent}]
    hints = FeedHints(product="FINNIFTY", expiry="2026-01-27", timestamp_ms=at("2026-01-06 11:00"))
    chain = _one(tmp_path, body(rows, timestamp=""), hints)
    assert (chain.product, chain.expiry) == ("FINNIFTY", "2026-01-27")
    assert chain.ts_event == at("2026-01-06 11:00")


def test_what_the_body_says_wins_over_hints(tmp_path: Path) -> None:
    hints = FeedHints(product="FINNIFTY", expiry="2026-01-27", timestamp_ms=1)
    assert _one(tmp_path, body([row(26000)]), hints) == _one(tmp_path, body([row(26000)]))


def test_a_strike_given_twice_is_told(tmp_path: Path) -> None:
    rows = [row(26000, CE=leg(openInterest=1)), row(26000, CE=leg(openInterest=2))]
    feed = open_feed(written(tmp_path / "a", body(rows)), NO_HINTS)
    (chain,) = feed.events()
    assert isinstance(chain, ChainSnapshot)
    assert chain.calls.oi == [1]
    assert feed.problems == ["row 2: strike 26000 of 2026-01-13 again; the first one counts"]


def test_an_expiry_that_breaks_the_rules_does_not_hide_the_others(tmp_path: Path) -> None:
    rows = [row(26000), row(26000, "27-Jan-2026", CE=leg(openInterest=-1)), row(1, "soon")]
    feed = open_feed(written(tmp_path / "a", body(rows)), NO_HINTS)
    (chain,) = feed.events()
    assert isinstance(chain, ChainSnapshot)
    assert (chain.expiry, chain.expiries_in_capture) == ("2026-01-13", 1)
    assert [text.split(":")[0] for text in feed.problems] == ["row 3", "expiry 2026-01-27"]


def test_a_chain_without_calls_is_a_snapshot(tmp_path: Path) -> None:
    assert _one(tmp_path, body([row(26000, PE=leg())])).calls.oi == [None]


_SILENT = {"strikePrice": 26000, "expiryDate": "13-Jan-2026", "CE": leg(underlying=None)}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (body([]), "without any strikes"),
        (body([{"strikePrice": 26000, "expiryDate": "13-Jan-2026"}], index="NIFTY"), "empty_chain"),
        (body([row(26000, CE=leg(openInterest="many"))]), "wrong shape.*openInterest|CE"),
        (body([row(26000)], underlyingValue="high"), "wrong shape"),
        (body([row(26000)], timestamp="yesterday"), "records.timestamp: 'yesterday'"),
        (body([row(26000)], timestamp="06-Jan-1926 10:31:07"), "before 1970"),
        (body([row(26000)], timestamp=None), "pass --timestamp"),
        (body([_SILENT]), "pass --product NIFTY"),
        (body([row(1, CE=leg(underlying="nifty"))]), "not a product name"),
        (body([row(1, CE=leg(), PE=leg(underlying="SENSEX"))]), "several underlyings"),
        (body([row(1, "someday")]), "no usable expiry; row 1"),
        (body([row(26000, CE=leg(openInterest=-1))]), "negative"),
        ({"records": {"timestamp": "x"}}, "wrong shape"),
        ({"records": [1]}, "wrong shape"),
        ({"message": "unauthorised"}, "no `records`"),
        ({"data": {"rows": []}}, "no `records`"),
        ({"data": [1]}, "no `records`"),
        ([1, 2], "no `records`"),
        ({}, "no `records`"),
    ],
)
def test_a_body_that_cannot_be_used_says_why(tmp_path: Path, content: object, why: str) -> None:
    path = written(tmp_path / "bad.json", content)
    with pytest.raises(InputError, match=why) as raised:
        events_of(path)
    assert str(path) in str(raised.value)


_numbers = st.one_of(st.none(), st.integers(0, 10**9), st.floats(0, 1e9))
_LEG_FIELDS = (
    "openInterest",
    "totalTradedVolume",
    "impliedVolatility",
    "lastPrice",
    "bidprice",
    "askPrice",
    "buyPrice1",
    "sellPrice1",
)
_legs = st.fixed_dictionaries(
    {"underlying": st.just("NIFTY")}, optional=dict.fromkeys(_LEG_FIELDS, _numbers)
)
_rows = st.fixed_dictionaries(
    {
        "strikePrice": st.integers(1, 400).map(lambda n: n * 50),
        "expiryDate": st.sampled_from(["13-Jan-2026", "20-01-2026", "2026-01-27"]),
    },
    optional={"CE": _legs, "PE": _legs},
)


@given(st.lists(_rows, max_size=30))
def test_whatever_is_served_the_snapshots_keep_the_contract(rows: list[dict[str, Any]]) -> None:
    file = fed(json.dumps(body(rows)).encode())
    try:
        chains = chain_snapshots(file)
    except InputError:
        return
    for chain in chains:
        check_chain(chain)
        prices = [chain.calls.last, chain.calls.bid, chain.puts.ask, chain.puts.iv]
        assert all(value is None or value > 0 for column in prices for value in column)
    told = sum(text.startswith("row") for text in file.problems)
    refused = sum(text.startswith("expiry") for text in file.problems)
    strikes = sum(len(chain.strikes) for chain in chains)
    assert len(chains) + refused == len({row["expiryDate"] for row in rows})
    assert strikes + told <= len(rows)
