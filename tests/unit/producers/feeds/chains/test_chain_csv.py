"""The exchange's chain tables as CSV: website export, pages of 2018–19, a scraper's flat file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.producers.feeds.files.csv_table import cell_number
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot, Legs
from tests.harness.feed_files import NO_HINTS, at, chains_of, written

EXPORT_HEAD = (
    "CALLS,,PUTS\n"
    ",OI,CHNG IN OI,VOLUME,IV,LTP,CHNG,BID QTY,BID,ASK,ASK QTY,STRIKE,"
    "BID QTY,BID,ASK,ASK QTY,CHNG,LTP,IV,VOLUME,CHNG IN OI,OI,\n"
)
EXPORT_ROW = (
    ',"2,05,721",-12,"1,000",9.50,"1,238.35",-190.50,65,"1,235.00",1240,65,"26,000.00",'
    '65,682.95,698.20,130,136.50,685.00,14.40,824,489,"4,853",\n'
)
EXPORT_NAME = "2026-Feb14.option-chain-ED-NIFTY-29-Sep-2026.csv"

PAGE_HEAD = (
    ",CallOI,CallChnginOI,CallVolume,CallIV,CallLTP,CallNetChng,CallBidQty,CallBidPrice,"
    "CallAskPrice,CallAskQty,StrikePrice,PutBidQty,PutBidPrice,PutAskPrice,PutAskQty,PutNetChng,"
    "PutLTP,PutIV,PutVolume,PutChnginOI,PutOI"
)
PAGE_ROW = (
    "0,75,-75,5,-,1715.25,-,75,1617.55,-,75,8800.00,"
    "750,3.40,3.70,75,-1.45,3.40,42.16,166,4725,13425"
)

FLAT_HEAD = (
    "symbol,expiryDate,strikePrice,underlying,CE_OI,CE_CHGOI,CE_IV,CE_LTP,CE_BIDQTY,CE_BID,CE_ASK,"
    "CE_ASKQTY,PE_OI,PE_CHGOI,PE_IV,PE_LTP,PE_BIDQTY,PE_BID,PE_ASK,PE_ASKQTY\n"
)
FLAT_NAME = "NIFTY_OptionChain_2025-10-14_03-15-14_UTC.csv"


def _one(path: Path, hints: FeedHints = NO_HINTS) -> ChainSnapshot:
    (chain,) = chains_of(path, hints)
    return chain


def _page(folder: Path, text: str, name: str = "NIFTY_2019-05-17_0917.csv") -> Path:
    folder.mkdir(exist_ok=True)
    return written(folder / name, text)


def _figures(legs: Legs) -> list[object]:
    return [getattr(legs, name)[0] for name in LEG_COLUMNS]


def _why(path: Path, hints: FeedHints = NO_HINTS) -> str:
    with pytest.raises(InputError) as raised:
        list(open_feed(path, hints).events())
    assert raised.value.source == str(path)
    return raised.value.why


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2,05,721", 205721.0),
        ("205,721", 205721.0),
        ("23,100.00", 23100.0),
        (" -1,180 ", -1180.0),
        ("0", 0.0),
        ("-", None),
        (" - ", None),
        ("", None),
        ("NA", None),
        ("nan", None),
    ],
)
def test_a_cell_is_a_number_in_any_grouping_or_none(text: str, number: float | None) -> None:
    assert cell_number(text) == number


@pytest.mark.parametrize("text", ["many", "1.2.3", "inf", "--"])
def test_a_cell_that_is_no_number_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number|not finite"):
        cell_number(text)


@given(st.integers(0, 10**9))
def test_indian_grouping_is_the_number_itself(number: int) -> None:
    digits = str(number)
    head, tail = digits[:-3], digits[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    assert cell_number(",".join([*pairs, tail])) == number


def test_an_export_has_calls_left_and_puts_right(tmp_path: Path) -> None:
    chain = _one(written(tmp_path / EXPORT_NAME, EXPORT_HEAD + EXPORT_ROW))
    assert chain.strikes == [26000]
    assert _figures(chain.calls) == [205721, -12, 1000, 9.5, 1238.35, 1235, 1240]
    assert _figures(chain.puts) == [4853, 489, 824, 14.4, 685, 682.95, 698.2]
    assert (chain.source, chain.oi_unit, chain.underlying_price) == ("nse-csv", "lots", None)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_export_may_end_its_lines_in_any_way(tmp_path: Path, end: str) -> None:
    text = (EXPORT_HEAD + EXPORT_ROW).replace("\n", end)
    assert _one(written(tmp_path / EXPORT_NAME, text)).calls.oi == [205721]


def test_an_export_takes_from_its_name_what_no_hint_says(tmp_path: Path) -> None:
    chain = _one(written(tmp_path / EXPORT_NAME, EXPORT_HEAD + EXPORT_ROW))
    assert (chain.product, chain.expiry) == ("NIFTY", "2026-09-29")
    assert chain.ts_event == chain.ts_recv == at("2026-02-14 15:30:00")
    hints = FeedHints("BANKNIFTY", "2026-10-27", at("2026-02-13 10:00:00"))
    hinted = _one(tmp_path / EXPORT_NAME, hints)
    assert (hinted.product, hinted.expiry) == ("BANKNIFTY", "2026-10-27")
    assert hinted.ts_event == at("2026-02-13 10:00:00")


@pytest.mark.parametrize(
    ("hints", "why"),
    [
        (FeedHints(), "pass --product NIFTY"),
        (FeedHints(product="NIFTY"), "pass --timestamp"),
        (FeedHints(product="NIFTY", timestamp_ms=1), "pass --expiry-date YYYY-MM-DD"),
    ],
)
def test_an_export_of_another_name_says_which_option_to_add(
    tmp_path: Path, hints: FeedHints, why: str
) -> None:
    assert why in _why(written(tmp_path / "a.csv", EXPORT_HEAD + EXPORT_ROW), hints)


def test_a_page_saved_under_the_name_of_an_export_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / EXPORT_NAME, "<!DOCTYPE html>\n<html>CALLS,,PUTS</html>")
    assert "HTML" in _why(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("CALLS,,PUTS\n", "no column STRIKE"),
        ("CALLS,,PUTS\n,OI,\n", "no column STRIKE"),
        (EXPORT_HEAD.replace(",BID,ASK", ",B,A", 1), "two columns 'bid'"),
        (EXPORT_HEAD, "no rows"),
    ],
)
def test_an_export_without_its_columns_or_rows_says_so(tmp_path: Path, text: str, why: str) -> None:
    assert why in _why(written(tmp_path / EXPORT_NAME, text))


def test_rows_that_cannot_be_read_are_told_with_number_and_reason(tmp_path: Path) -> None:
    rows = [
        EXPORT_ROW,
        EXPORT_ROW.replace('"26,000.00"', '"26,050.00"').replace("824", "many"),
        EXPORT_ROW.replace('"4,853"', "1"),
        EXPORT_ROW.replace('"26,000.00"', "-"),
        EXPORT_ROW.replace('"26,000.00"', "Total"),
        EXPORT_ROW.replace('"26,000.00"', "0"),
        ",1,2\n",
    ]
    feed = open_feed(written(tmp_path / EXPORT_NAME, EXPORT_HEAD + "".join(rows)), NO_HINTS)
    (chain,) = feed.events()
    assert isinstance(chain, ChainSnapshot)
    assert (chain.strikes, chain.puts.oi) == ([26000], [4853])
    assert sorted(feed.problems) == [
        "row 4: 'many' is not a number",
        "row 5: strike 26000 of 2026-09-29 again; the first one counts",
        "row 6: strike is missing",
        "row 7: 'Total' is not a number",
        "row 8: strike 0 is not positive",
        "row 9: 3 cells, the header has 23",
    ]


def test_strikes_rise_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    rows = [EXPORT_ROW.replace('"26,000.00"', str(strike)) for strike in (300, 100, 200)]
    chain = _one(written(tmp_path / EXPORT_NAME, EXPORT_HEAD + "".join(rows)))
    assert chain.strikes == [100, 200, 300]


def test_a_page_of_2019_counts_open_interest_in_shares(tmp_path: Path) -> None:
    path = _page(tmp_path / "13JUN2019", f"{PAGE_HEAD}\n{PAGE_ROW}")
    chain = _one(path)
    assert (chain.product, chain.expiry, chain.oi_unit) == ("NIFTY", "2019-06-13", "shares")
    assert chain.ts_event == at("2019-05-17 09:17:00")
    assert _figures(chain.calls) == [75, -75, 5, None, 1715.25, 1617.55, None]
    assert _figures(chain.puts) == [13425, 4725, 166, 42.16, 3.4, 3.4, 3.7]
    assert chain.underlying_price is None


def test_a_page_may_have_the_underlying_price(tmp_path: Path) -> None:
    text = f"{PAGE_HEAD},CurrentVal\n{PAGE_ROW},10472.5\n"
    path = _page(tmp_path / "6JUN2019", text)
    chain = _one(path)
    assert (chain.expiry, chain.underlying_price) == ("2019-06-06", 10472.5)
    assert not chain.mixed_underlying


def test_rows_that_tell_different_underlying_prices_are_mixed(tmp_path: Path) -> None:
    rows = [f"{PAGE_ROW},{spot}".replace("8800", str(n)) for n, spot in enumerate((5, 6, 6, 0), 1)]
    text = "\n".join([f"{PAGE_HEAD},CurrentVal", *rows])
    chain = _one(_page(tmp_path / "6JUN2019", text))
    assert chain.mixed_underlying
    assert chain.underlying_price == 6


def test_the_name_of_a_page_goes_before_hints(tmp_path: Path) -> None:
    path = _page(tmp_path / "13JUN2019", f"{PAGE_HEAD}\n{PAGE_ROW}")
    assert _one(path, FeedHints("SENSEX", "2020-01-30", 1)) == _one(path)


def test_a_page_without_an_expiry_takes_it_from_a_hint(tmp_path: Path) -> None:
    path = _page(tmp_path, f"{PAGE_HEAD}\n{PAGE_ROW}")
    assert "pass --expiry-date" in _why(path)
    assert _one(path, FeedHints(expiry="2019-05-30")).expiry == "2019-05-30"


def test_a_page_without_an_expiry_may_ask_for_the_nearest(tmp_path: Path) -> None:
    path = _page(tmp_path, f"{PAGE_HEAD}\n{PAGE_ROW}")
    asked: list[tuple[str, str]] = []

    def nearest(product: str, day: str) -> str | None:
        asked.append((product, day))
        return "2019-05-23"

    assert _one(path, FeedHints(nearest_expiry=nearest)).expiry == "2019-05-23"
    assert asked == [("NIFTY", "2019-05-17")]
    assert "pass --expiry-date" in _why(path, FeedHints(nearest_expiry=lambda *_: None))


def test_a_page_with_a_header_alone_is_told(tmp_path: Path) -> None:
    path = _page(tmp_path / "13JUN2019", PAGE_HEAD)
    assert "no rows" in _why(path)


def test_a_flat_file_gives_a_snapshot_for_each_expiry(tmp_path: Path) -> None:
    text = FLAT_HEAD + (
        "NIFTY,04-Nov-2025,22850,25227.35,1,2,3,4,5,6,7,8,NA,NA,NA,NA,NA,NA,NA,NA\n"
        "NIFTY,14-Oct-2025,22900,25227.35,0,0,0,0,5,0,7,8,1,2,3,4,5,6,7,8\n"
    )
    near, far = chains_of(written(tmp_path / FLAT_NAME, text))
    assert (near.expiry, far.expiry) == ("2025-10-14", "2025-11-04")
    assert {near.capture_id} == {far.capture_id}
    assert near.expiries_in_capture == far.expiries_in_capture == 2
    assert near.ts_event == far.ts_event == at("2025-10-14 08:45:14")
    assert (far.oi_unit, far.underlying_price, far.product) == ("lots", 25227.35, "NIFTY")
    assert _figures(far.calls) == [1, 2, None, 3, 4, 6, 7]
    assert _figures(far.puts) == [None] * 7
    assert _figures(near.calls) == [0, 0, None, None, None, None, 7]


def test_an_expiry_of_a_flat_file_that_is_all_na_is_told(tmp_path: Path) -> None:
    nothing = ",NA" * 17
    text = f"{FLAT_HEAD}NIFTY,04-Nov-2025,22850{nothing}\nNIFTY,11-Nov-2025,22850,25227.35,1" + (
        nothing[: 15 * 3] + "\n"
    )
    feed = open_feed(written(tmp_path / FLAT_NAME, text), NO_HINTS)
    (chain,) = feed.events()
    assert isinstance(chain, ChainSnapshot)
    assert (chain.expiry, chain.expiries_in_capture) == ("2025-11-11", 1)
    assert feed.problems == ["expiry 2025-11-04: empty_chain: every leg is missing"]


def test_a_flat_row_of_no_product_or_no_date_is_told(tmp_path: Path) -> None:
    rest = ",22850,25227.35" + ",1" * 16
    text = f"{FLAT_HEAD}?,04-Nov-2025{rest}\nNIFTY,soon{rest}\nnifty 50,04-Nov-2025{rest}\n"
    feed = open_feed(written(tmp_path / FLAT_NAME, text), NO_HINTS)
    (chain,) = feed.events()
    assert isinstance(chain, ChainSnapshot)
    assert chain.product == "NIFTY"
    assert [problem.split(":")[0] for problem in feed.problems] == ["row 2", "row 3"]


def test_a_flat_file_of_another_name_needs_a_time(tmp_path: Path) -> None:
    text = f"{FLAT_HEAD}NIFTY,04-Nov-2025,22850,25227.35" + ",1" * 16
    path = written(tmp_path / "a.csv", text)
    assert "pass --timestamp" in _why(path)
    assert _one(path, FeedHints(timestamp_ms=5)).ts_event == 5
