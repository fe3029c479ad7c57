"""What the name of a file or of its folder says about what it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.producers.feeds.products import (
    expiry_of_name,
    product_named,
    product_of_name,
    time_of_name,
)
from optionstream.producers.feeds.times import parse_compact_stamp, parse_date, parse_stamp
from tests.harness.feed_files import at

CLOSE = "15:30:00"


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("option-chain-ED-NIFTY-29-Sep-2026.csv", "NIFTY"),
        ("2026-Feb14.option-chain-ED-BANKNIFTY-28-Apr-2026 (2).csv", "BANKNIFTY"),
        ("option-chain-ED-BAJAJ-AUTO-29-Sep-2026.csv", "BAJAJ-AUTO"),
        ("NIFTY_2019-05-17_0917.csv", "NIFTY"),
        ("NIFTY_OptionChain_2025-10-14_03-15-14_UTC.csv", "NIFTY"),
        ("option-chain.csv", None),
        ("NIFTY.csv", None),
        ("nifty_2019-05.csv", None),
    ],
)
def test_the_product_stands_where_websites_and_scrapers_put_it(
    name: str, product: str | None
) -> None:
    assert product_of_name(Path("/x") / name) == product


@pytest.mark.parametrize(
    ("name", "expiry"),
    [
        ("option-chain-ED-NIFTY-07-Apr-2026 (3).csv", "2026-04-07"),
        ("2026-03-30.option-chain-ED-NIFTY-13-Apr-2026.csv", "2026-04-13"),
        ("option-chain-ED-NIFTY-13-Apr-2026 - 2026-04-04T063340.252.csv", "2026-04-13"),
        ("13JUN2019/NIFTY_2019-05-17_0917.csv", "2019-06-13"),
        ("6JUN2019/NIFTY_2019-05-17_0917.csv", "2019-06-06"),
        ("06JUN2019/NIFTY_2019-05-17_0917.csv", "2019-06-06"),
        ("31FEB2019/NIFTY_2019-05-17_0917.csv", None),
        ("NIFTY_2019-05-17_0917.csv", None),
    ],
)
def test_the_expiry_stands_in_the_name_or_is_the_folder(name: str, expiry: str | None) -> None:
    assert expiry_of_name(Path("/x") / name) == expiry


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("2026-Feb14.option-chain-ED-NIFTY-29-Sep-2026.csv", f"2026-02-14 {CLOSE}"),
        ("2026-Feb7.option-chain-ED-NIFTY-29-Sep-2026.csv", f"2026-02-07 {CLOSE}"),
        ("2026-03-28.option-chain-ED-NIFTY-07-Apr-2026 (2).csv", f"2026-03-28 {CLOSE}"),
        (
            "2026-04-04.option-chain-ED-NIFTY-13-Apr-2026 - 2026-04-04T063340.252.csv",
            "2026-04-04 06:33:40",
        ),
        ("2026-02-14/option-chain-ED-NIFTY-29-Sep-2026.csv", f"2026-02-14 {CLOSE}"),
        ("export_20260327_1830.csv", "2026-03-27 18:30:00"),
        ("bhavcopy_20250814.csv", f"2025-08-14 {CLOSE}"),
        ("NIFTY_2019-05-17_0917.csv", "2019-05-17 09:17:00"),
        ("NIFTY_OptionChain_2025-10-14_03-15-14_UTC.csv", "2025-10-14 08:45:14"),
        ("chain_20251014T031514Z.csv", "2025-10-14 08:45:14"),
    ],
)
def test_a_time_in_a_name_is_indian_unless_it_says_utc_and_a_date_is_its_close(
    name: str, when: str
) -> None:
    assert time_of_name(Path("/x") / name) == at(when)


@pytest.mark.parametrize(
    "name",
    [
        "option-chain-ED-NIFTY-29-Sep-2026.csv",
        "NIFTY_2018-10.tar.gz",
        "chain_2026-13-01.csv",
        "chain_2026-02-30.csv",
        "chain_20260201_2575.csv",
        "chain_1926-02-20.csv",
        "chain_202602011530001.csv",
        "2026.csv",
    ],
)
def test_a_name_without_a_time_tells_none(name: str) -> None:
    assert time_of_name(Path("/x") / name) is None


@given(st.text(max_size=60))
def test_any_name_is_taken(name: str) -> None:
    path = Path("/x") / name.replace("/", "_").replace("\0", "_")
    when = time_of_name(path)
    assert when is None or when >= 0
    product_of_name(path)
    expiry_of_name(path)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("14-Oct-2025", "2025-10-14"),
        ("4-oct-2025", "2025-10-04"),
        ("14OCT2025", "2025-10-14"),
        ("6JUN2019", "2019-06-06"),
        ("14-10-2025", "2025-10-14"),
        (" 2025-10-14 ", "2025-10-14"),
    ],
)
def test_a_date_is_read_in_every_form(text: str, day: str) -> None:
    assert parse_date(text).isoformat() == day


@pytest.mark.parametrize("text", ["", "14-10-25", "31-02-2025", "14-Foo-2025", "2025/10/14"])
def test_another_date_is_an_error(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"not a date|not a month|day is out of range|must be in range"
    ):
        parse_date(text)


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("13-Oct-2025 13:53:23", "2025-10-13 13:53:23"),
        ("07-01-2026 09:15", "2026-01-07 09:15:00"),
    ],
)
def test_a_stamp_is_indian_time(text: str, when: str) -> None:
    assert parse_stamp(text) == at(when)


def test_a_compact_stamp_is_indian_time() -> None:
    assert parse_compact_stamp("202608191127") == at("2026-08-19 11:27:00")


@pytest.mark.parametrize("text", ["2026081911", "202613191127", "202608192527", "190608191127", ""])
def test_another_compact_stamp_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a time|must be in|before 1970"):
        parse_compact_stamp(text)


@pytest.mark.parametrize(
    ("text", "product"),
    [
        ("NIFTY50", "NIFTY"),
        ("Nifty 50", "NIFTY"),
        ("Nifty Bank", "BANKNIFTY"),
        ("NIFTY MID SELECT", "MIDCPNIFTY"),
        ("nifty", "NIFTY"),
        ("M&M", "M&M"),
    ],
)
def test_an_index_has_a_product_in_any_case(text: str, product: str) -> None:
    assert product_named(text) == product


@pytest.mark.parametrize("text", ["", "?", "NIFTY TOTAL MARKET", "X" * 40])
def test_what_is_no_product_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a product name"):
        product_named(text)
