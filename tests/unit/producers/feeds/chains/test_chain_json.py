"""Option chains as JSON of brokers and scrapers, and volatility surfaces as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot, Legs
from tests.harness.feed_files import NO_HINTS, at, chains_of, written

NOON = FeedHints(timestamp_ms=at("2026-04-02 12:00:00"))
WEEKLY = FeedHints(expiry="2022-03-31")


def _upstox_leg(**market: Any) -> dict[str, Any]:
    told = {"ltp": 8.5, "volume": 650, "oi": 1300.0, "prev_oi": 1950.0, "bid_price": 8.0}
    greeks = {"iv": 41.14, "delta": -0.02, "vega": 1.3}
    return {"market_data": {**told, "ask_price": 9.0, **market}, "option_greeks": greeks}


def _upstox_row(strike: float, **changes: Any) -> dict[str, Any]:
    return {
        "expiry": "2026-04-07",
        "strike_price": strike,
        "underlying_key": "NSE_INDEX|Nifty 50",
        "underlying_spot_price": 22266.25,
        "call_options": _upstox_leg(),
        "put_options": _upstox_leg(),
        **changes,
    }


def _angel_row(strike: float, kind: str, **changes: Any) -> dict[str, Any]:
    return {
        "tradingSymbol": f"BANKNIFTY23NOV{strike}{kind}",
        "expiryDate": "23NOV2023",
        "strikePrice": strike,
        "optionType": kind,
        "lastPrice": 12.5,
        "volume": 300,
        "openInterest": 4500,
        "changeinOpenInterest": -150,
        "bidPrice": 12.0,
        "askPrice": 0,
        **changes,
    }


def _angel(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"status": True, "data": {"fetched": rows, "unfetched": []}}


def _ltp(contract: str, **changes: Any) -> dict[str, Any]:
    row = {"date": "2022-03-28T03:40:01.000Z", "Inst": "B", "strike": contract}
    return {**row, "lastprice": 65.15, "oi": 62975, **changes}


def _figures(legs: Legs, at_: int = 0) -> list[object]:
    return [getattr(legs, name)[at_] for name in LEG_COLUMNS]


def _why(path: Path, hints: FeedHints = NO_HINTS) -> str:
    with pytest.raises(InputError) as raised:
        list(open_feed(path, hints).events())
    assert raised.value.source == str(path)
    assert "\n" not in str(raised.value)
    return raised.value.why


def _problems(path: Path, hints: FeedHints) -> list[str]:
    feed = open_feed(path, hints)
    assert len(list(feed.events())) == 1
    return feed.problems


def test_an_upstox_chain_counts_in_shares(tmp_path: Path) -> None:
    rows = [_upstox_row(22300), _upstox_row(22250, put_options=None)]
    (chain,) = chains_of(written(tmp_path / "a", {"status": "success", "data": rows}), NOON)
    assert (chain.product, chain.expiry, chain.source) == ("NIFTY", "2026-04-07", "upstox")
    assert (chain.oi_unit, chain.underlying_price) == ("shares", 22266.25)
    assert chain.strikes == [22250, 22300]
    assert _figures(chain.calls) == [1300, -650, 650, 41.14, 8.5, 8, 9]
    assert _figures(chain.puts) == [None] * 7
    assert chain.ts_event == chain.ts_recv == NOON.timestamp_ms


def test_a_recorded_upstox_answer_says_its_time(tmp_path: Path) -> None:
    recorded = {
        "recorded_at": "2026-04-02T06:34:54.528189+00:00",
        "response": {"data": [_upstox_row(22300)]},
    }
    path = written(tmp_path / "a", recorded)
    assert open_feed(path, NO_HINTS).format == "upstox-option-chain-json"
    (chain,) = chains_of(path, NOON)
    assert chain.ts_event == at("2026-04-02 12:04:54") + 528


def test_an_upstox_leg_that_never_traded_has_no_price_and_no_volatility(tmp_path: Path) -> None:
    leg = _upstox_leg(ltp=0.0, oi=0.0, prev_oi=None, volume=0)
    leg["option_greeks"]["iv"] = 0.0
    path = written(tmp_path / "a", {"data": [_upstox_row(22300, call_options=leg)]})
    (chain,) = chains_of(path, NOON)
    assert _figures(chain.calls) == [0, None, 0, None, None, 8, 9]


def test_the_date_in_the_name_of_an_upstox_answer_is_not_its_time(tmp_path: Path) -> None:
    path = written(tmp_path / "nifty_chain_2026-04-07.json", {"data": [_upstox_row(22300)]})
    assert "pass --timestamp" in _why(path)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (_upstox_row(22350, expiry="soon"), "row 2: 'soon' is not a date"),
        (_upstox_row(22350, underlying_key="NSE_EQ|?"), "row 2: '?' is not a product name"),
        (_upstox_row(22300), "row 2: strike 22300 of 2026-04-07 again"),
        (_upstox_row(-1), "row 2: strike -1 is not positive"),
    ],
)
def test_an_upstox_row_that_cannot_be_used_is_told(
    tmp_path: Path, row: dict[str, Any], why: str
) -> None:
    path = written(tmp_path / "a", {"data": [_upstox_row(22300), row]})
    (problem,) = _problems(path, NOON)
    assert problem.startswith(why)


def test_an_underlying_that_no_answer_names_is_a_hint(tmp_path: Path) -> None:
    path = written(tmp_path / "a", {"data": [_upstox_row(22300, underlying_key=None)]})
    assert "pass --product" in _why(path, NOON)
    (chain,) = chains_of(path, FeedHints(product="SENSEX", timestamp_ms=1))
    assert chain.product == "SENSEX"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"data": [_upstox_row(22300, strike_price="high")]}, "wrong shape"),
        ({"response": {}, "rows": [_upstox_row(22300)]}, "wrong shape"),
        ({"data": [], "rows": [_upstox_row(22300)]}, "without any strikes"),
        ({"recorded_at": "2026-04-02T06:34:54", "data": [_upstox_row(1)]}, "no time zone"),
    ],
)
def test_an_upstox_answer_of_another_shape_says_why(
    tmp_path: Path, content: dict[str, Any], why: str
) -> None:
    assert why in _why(written(tmp_path / "a", content), NOON)


def test_an_angel_chain_counts_in_shares_and_has_several_expiries(tmp_path: Path) -> None:
    later = {"expiryDate": "30NOV2023", "tradingSymbol": "BANKNIFTY30NOV47000CE"}
    rows = [_angel_row(47000, "PE"), _angel_row(46900, "CE"), _angel_row(47000, "CE", **later)]
    path = written(tmp_path / "a", _angel(rows))
    assert open_feed(path, NO_HINTS).format == "angel-option-chain-json"
    near, far = chains_of(path, NOON)
    assert (near.product, near.oi_unit, near.source) == ("BANKNIFTY", "shares", "angel")
    assert (near.expiry, far.expiry) == ("2023-11-23", "2023-11-30")
    assert near.strikes == [46900, 47000]
    assert _figures(near.calls) == [4500, -150, 300, None, 12.5, 12, None]
    assert _figures(near.puts) == [None] * 7
    assert "pass --timestamp" in _why(path)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (_angel_row(47000, "XX", tradingSymbol="BANKNIFTY23NOV47000CE"), "neither CE nor PE"),
        (_angel_row(47000, "CE", tradingSymbol="BANKNIFTY"), "not an option's symbol"),
        (_angel_row(47000, "CE", expiryDate="soon"), "not a date"),
        (_angel_row(46900, "CE"), "46900 CE of 2023-11-23 again"),
    ],
)
def test_an_angel_leg_that_cannot_be_used_is_told(
    tmp_path: Path, row: dict[str, Any], why: str
) -> None:
    path = written(tmp_path / "a", _angel([_angel_row(46900, "CE"), row]))
    (problem,) = _problems(path, NOON)
    assert problem.startswith("row 2: ")
    assert why in problem


@pytest.mark.parametrize(
    ("symbol", "product"),
    [("NIFTY26MAY2621000CE", "NIFTY"), ("NIFTYNXT5023NOV47000PE", "NIFTYNXT50")],
)
def test_an_angel_symbol_begins_with_the_product(tmp_path: Path, symbol: str, product: str) -> None:
    row = _angel_row(47000, symbol[-2:], tradingSymbol=symbol)
    (chain,) = chains_of(written(tmp_path / "a", _angel([row])), NOON)
    assert chain.product == product


def test_prices_and_open_interest_every_five_minutes_are_snapshots(tmp_path: Path) -> None:
    rows = [
        _ltp("33500CE"),
        _ltp("33500PE", lastprice=0, oi=0),
        _ltp("33600.5PE"),
        _ltp("33500CE", date="2022-03-28T03:45:00.000Z", lastprice=None),
    ]
    path = written(tmp_path / "a", rows)
    assert open_feed(path, NO_HINTS).format == "ltp-oi-json"
    first, second = chains_of(path, WEEKLY)
    assert first.ts_event == at("2022-03-28 09:10:01")
    assert second.ts_event == at("2022-03-28 09:15:00")
    assert (first.product, first.expiry, first.oi_unit) == ("BANKNIFTY", "2022-03-31", "shares")
    assert first.strikes == [33500, 33600.5]
    assert _figures(first.calls) == [62975, None, None, None, 65.15, None, None]
    assert _figures(first.puts) == [0, None, None, None, None, None, None]
    assert second.calls.last == [None]


def test_the_expiry_that_the_five_minute_list_leaves_out_is_a_hint(tmp_path: Path) -> None:
    path = written(tmp_path / "a", [_ltp("33500CE")])
    assert "pass --expiry-date" in _why(path)
    nearest = FeedHints(nearest_expiry=lambda product, day: f"{product} {day}"[-10:])
    (chain,) = chains_of(path, nearest)
    assert chain.expiry == "2022-03-28"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (_ltp("33500"), "not a strike followed by CE or PE"),
        (_ltp("33500CE"), "33500 CE of 2022-03-31 again"),
        (_ltp("1CE", Inst="Z"), "instrument 'Z' is unknown"),
        (_ltp("1CE", date="soon"), "RFC3339"),
        (_ltp("1CE", date="2022-03-28T03:40:01"), "no time zone"),
        (_ltp("1CE", date="1922-03-28T03:40:01Z"), "before 1970"),
        (_ltp("1CE", oi="many"), "Expected `float | null`"),
    ],
)
def test_a_five_minute_row_that_cannot_be_used_is_told(
    tmp_path: Path, row: dict[str, Any], why: str
) -> None:
    (problem,) = _problems(written(tmp_path / "a", [_ltp("33500CE"), row]), WEEKLY)
    assert problem.startswith("row 2: ")
    assert why in problem


SURFACE = "datetime,underlying_price,NIFTY27JAN2625200CE,NIFTY27JAN2623800PE,NIFTY27JAN2625200PE\n"


def test_a_volatility_surface_is_snapshots_of_volatilities_in_percent(tmp_path: Path) -> None:
    text = f"{SURFACE}07-01-2026 09:15,26111.65,0.12662,,0.1\n07-01-2026 09:20,26141.4,0.08,0.2,\n"
    path = written(tmp_path / "a", text)
    assert open_feed(path, NO_HINTS).format == "iv-surface-csv"
    first, second = chains_of(path)
    assert first.ts_event == at("2026-01-07 09:15:00")
    assert (first.product, first.expiry, first.underlying_price) == (
        "NIFTY",
        "2026-01-27",
        26111.65,
    )
    assert first.strikes == [23800, 25200]
    assert first.calls.iv == [None, pytest.approx(12.662)]
    assert first.puts.iv == [None, pytest.approx(10)]
    assert second.puts.iv == [pytest.approx(20), None]
    assert all(getattr(first.calls, name) == [None, None] for name in LEG_COLUMNS if name != "iv")


def test_a_surface_row_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    rows = [
        "07-01-2026 09:15,26111.65,0.1,0.1,0.1",
        "soon,26111.65,0.1,0.1,0.1",
        "07-01-2026 09:20,26111.65,many,0.1,0.1",
        "07-01-2026 09:25,26111.65,,,",
    ]
    problems = _problems(written(tmp_path / "a", SURFACE + "\n".join(rows)), NO_HINTS)
    assert [problem.partition(": ")[0] for problem in problems] == [
        "row 3",
        "row 4",
        "expiry 2026-01-27 at 2026-01-07T09:25:00+05:30",
    ]


@pytest.mark.parametrize(
    ("column", "why"),
    [("vix", "not an option's symbol"), ("NIFTY31FEB2625200CE", "out of range")],
)
def test_a_surface_with_another_column_is_an_error(tmp_path: Path, column: str, why: str) -> None:
    text = f"{SURFACE.rstrip()},{column}\n07-01-2026 09:15,26111.65,0.1,0.1,0.1,0.1\n"
    assert why in _why(written(tmp_path / "a", text))


def test_every_snapshot_of_a_list_is_of_its_own_capture(tmp_path: Path) -> None:
    rows = [_ltp("1CE"), _ltp("1CE", date="2022-03-28T03:45:00.000Z")]
    chains: list[ChainSnapshot] = chains_of(written(tmp_path / "a", rows), WEEKLY)
    assert len({chain.capture_id for chain in chains}) == 2
    assert {chain.expiries_in_capture for chain in chains} == {1}
