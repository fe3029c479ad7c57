"""Expiries: the rules, the days they changed, and lists that the exchange showed at the time."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.schemas.errors import CalendarError
from optionstream.streams.core.market.calendar import FNO, nse_calendar
from optionstream.streams.core.market.contract_facts import contract_facts, in_force
from optionstream.streams.core.market.expiries import expiries, is_expiry, kind_of

PRODUCTS = ("NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "NIFTYNXT50")
LAST = date(2026, 12, 31)
DAY = timedelta(days=1)


def listed(product: str, on: str) -> list[str]:
    return [expiry.date for expiry in expiries(product, on)]


def of_kind(product: str, on: str, kind: str) -> list[str]:
    return [expiry.date for expiry in expiries(product, on) if expiry.kind == kind]


def first_date(product: str) -> date:
    return min(row.start for row in contract_facts().listing if row.product == product)


@st.composite
def product_and_date(draw: st.DrawFn) -> tuple[str, str]:
    product = draw(st.sampled_from(PRODUCTS))
    return product, draw(st.dates(first_date(product), LAST)).isoformat()


# --- rules -------------------------------------------------------------------------------------


def test_the_list_of_a_date_has_weeklies_monthlies_quarterlies_and_half_yearlies() -> None:
    on = "2025-10-13"
    assert of_kind("NIFTY", on, "weekly") == [
        "2025-10-14",
        "2025-10-20",
        "2025-11-04",
        "2025-11-11",
    ]
    assert of_kind("NIFTY", on, "monthly") == ["2025-10-28", "2025-11-25", "2025-12-30"]
    assert of_kind("NIFTY", on, "quarterly") == ["2026-03-31", "2026-06-30", "2026-09-29"]
    assert of_kind("NIFTY", on, "half_yearly") == [
        "2026-12-29",
        "2027-06-29",
        "2027-12-28",
        "2028-06-27",
        "2028-12-26",
        "2029-06-26",
        "2029-12-24",
        "2030-06-25",
    ]


def test_a_contract_is_listed_on_its_last_day_and_not_after() -> None:
    assert listed("NIFTY", "2025-10-28")[0] == "2025-10-28"
    assert "2025-10-28" not in listed("NIFTY", "2025-10-29")


def test_a_holiday_moves_an_expiry_to_the_trading_day_before() -> None:
    assert is_expiry("NIFTY", "2025-10-20"), "Tuesday 21st is Muhurat"
    assert not is_expiry("NIFTY", "2025-10-21")
    assert is_expiry("NIFTY", "2021-11-03"), "Thursday 4th is Muhurat"
    assert is_expiry("NIFTY", "2026-03-30"), "Tuesday 31st is Mahavir Jayanti"
    assert is_expiry("BANKNIFTY", "2022-04-13"), "Thursday and Friday are holidays"


def test_the_holidays_of_a_later_year_move_an_expiry_when_they_are_known() -> None:
    assert "2026-03-31" in listed("NIFTY", "2025-12-26")
    assert "2026-03-30" in listed("NIFTY", "2025-12-29")
    assert "2023-03-30" in listed("NIFTY", "2022-12-14")
    assert "2023-03-29" in listed("NIFTY", "2022-12-15")
    # Holidays of fixed date are avoided from the start.
    assert "2029-12-24" in listed("NIFTY", "2025-10-13")


def test_a_closure_announced_late_moves_an_expiry_late() -> None:
    assert "2023-06-29" in listed("NIFTY", "2023-06-27")
    assert is_expiry("NIFTY", "2023-06-28")


def test_an_expiry_that_the_exchange_put_on_a_saturday_is_there() -> None:
    assert is_expiry("MIDCPNIFTY", "2024-01-20")
    assert not is_expiry("MIDCPNIFTY", "2024-01-19")


@pytest.mark.parametrize(
    ("product", "last_old", "first_new"),
    [
        ("NIFTY", "2025-08-28", "2025-09-02"),
        ("BANKNIFTY", "2023-08-31", "2023-09-06"),
        ("BANKNIFTY", "2025-08-28", "2025-09-30"),
        ("FINNIFTY", "2021-10-14", "2021-10-19"),
        ("MIDCPNIFTY", "2023-04-25", "2023-05-03"),
        ("MIDCPNIFTY", "2023-08-16", "2023-08-21"),
        ("NIFTYNXT50", "2024-12-27", "2025-01-30"),
    ],
)
def test_the_first_expiry_on_a_new_weekday_follows_the_last_on_the_old_one(
    product: str, last_old: str, first_new: str
) -> None:
    first, last = date.fromisoformat(last_old), date.fromisoformat(first_new)
    between = [first + n * DAY for n in range((last - first).days + 1)]
    happened = [day.isoformat() for day in between if is_expiry(product, day.isoformat())]
    assert happened == [last_old, first_new]


def test_listed_contracts_move_to_the_new_weekday_when_the_exchange_moves_them() -> None:
    assert listed("BANKNIFTY", "2023-09-01")[:2] == ["2023-09-07", "2023-09-14"]
    assert listed("BANKNIFTY", "2023-09-04")[:2] == ["2023-09-06", "2023-09-13"]
    assert listed("NIFTYNXT50", "2024-12-31")[0] == "2025-01-31"
    assert listed("NIFTYNXT50", "2025-01-01")[0] == "2025-01-30"


def test_new_contracts_may_carry_the_new_weekday_before_the_listed_ones_do() -> None:
    # June 2030 was first listed on 2025-06-27, after the circular; December 2029 before it.
    assert listed("NIFTY", "2025-07-16")[-2:] == ["2029-12-27", "2030-06-25"]
    assert of_kind("NIFTY", "2025-08-08", "weekly")[2:] == ["2025-09-02", "2025-09-09"]
    assert listed("NIFTY", "2025-08-14")[-2:] == ["2029-12-24", "2030-06-25"]


@pytest.mark.parametrize(
    ("product", "last"),
    [("BANKNIFTY", "2024-11-13"), ("MIDCPNIFTY", "2024-11-18"), ("FINNIFTY", "2024-11-19")],
)
def test_three_indices_have_had_no_weekly_since_november_2024(product: str, last: str) -> None:
    assert kind_of(product, last, last) == "weekly"
    after = date.fromisoformat(last) + DAY
    for n in range((LAST - after).days + 1):
        assert of_kind(product, (after + n * DAY).isoformat(), "weekly") == []


def test_no_weekly_of_nifty_was_listed_before_february_2019() -> None:
    assert of_kind("NIFTY", "2019-02-08", "weekly") == []
    assert of_kind("NIFTY", "2019-02-11", "weekly")[0] == "2019-02-14"


@pytest.mark.parametrize(
    ("product", "on", "monthlies"),
    [
        ("FINNIFTY", "2021-10-18", ["2021-10-26", "2021-11-30", "2021-12-28"]),
        ("MIDCPNIFTY", "2023-04-24", ["2023-04-25", "2023-05-30", "2023-06-27"]),
        ("MIDCPNIFTY", "2023-04-26", ["2023-05-31", "2023-06-28", "2023-07-26"]),
        ("MIDCPNIFTY", "2023-08-17", ["2023-08-28", "2023-09-25", "2023-10-30"]),
        ("BANKNIFTY", "2024-03-01", ["2024-03-27", "2024-04-24", "2024-05-29"]),
    ],
)
def test_monthlies_take_the_last_day_of_the_new_weekday_in_their_month(
    product: str, on: str, monthlies: list[str]
) -> None:
    assert of_kind(product, on, "monthly") == monthlies


def test_the_quarterlies_of_banknifty_began_with_three_in_october_2020() -> None:
    assert of_kind("BANKNIFTY", "2020-10-29", "quarterly") == []
    assert of_kind("BANKNIFTY", "2020-10-30", "quarterly") == [
        "2021-03-25",
        "2021-06-24",
        "2021-09-30",
    ]


def test_the_weeklies_of_banknifty_ran_down_from_seven_to_four_in_2022() -> None:
    assert len(of_kind("BANKNIFTY", "2022-01-20", "weekly")) == 7
    left = ["2022-03-03", "2022-03-10", "2022-03-17"]
    assert of_kind("BANKNIFTY", "2022-02-25", "weekly") == left
    assert len(of_kind("BANKNIFTY", "2022-03-04", "weekly")) == 4


@pytest.mark.parametrize(
    ("product", "on", "weeklies", "at_least"),
    [
        ("NIFTY", "2022-03-28", 7, False),
        ("NIFTY", "2022-03-29", 4, True),
        ("NIFTY", "2023-10-17", 4, False),
        ("FINNIFTY", "2022-01-21", 7, False),
        ("FINNIFTY", "2022-01-24", 1, True),
        ("MIDCPNIFTY", "2023-04-25", 7, False),
        ("MIDCPNIFTY", "2023-04-26", 1, True),
    ],
)
def test_the_number_of_weeklies_is_a_lower_bound_where_the_table_says_so(
    product: str, on: str, weeklies: int, at_least: bool
) -> None:
    rows = [row for row in contract_facts().listing if row.product == product]
    row = in_force(rows, date.fromisoformat(on))
    assert row is not None
    assert (row.weekly, row.at_least) == (weeklies, at_least)
    assert len(of_kind(product, on, "weekly")) == weeklies


def test_a_half_yearly_contract_becomes_a_quarterly_and_a_monthly_one() -> None:
    kinds = [kind_of("NIFTY", "2026-06-30", on) for on in ("2025-10-13", "2026-04-01")]
    assert kinds == ["quarterly", "monthly"]
    assert kind_of("NIFTY", "2026-12-29", "2025-10-13") == "half_yearly"
    assert kind_of("NIFTY", "2026-06-29", "2025-10-13") is None


# --- lists that were shown ---------------------------------------------------------------------

SHOWN = {
    # Bodies of the exchange's own endpoint, found in public repositories; not in the test data.
    ("NIFTY", "2022-03-28"): "2022-03-31 2022-04-07 2022-04-13 2022-04-21 2022-04-28 2022-05-05 "
    "2022-05-12 2022-05-19 2022-05-26 2022-06-02 2022-06-30 2022-09-29 2022-12-29 2023-06-29 "
    "2023-12-28 2024-06-27 2024-12-26 2025-06-26 2025-12-24 2026-06-25 2026-12-31",
    ("BANKNIFTY", "2023-05-03"): "2023-05-04 2023-05-11 2023-05-18 2023-05-25 2023-06-01 "
    "2023-06-29 2023-07-27 2023-09-28 2023-12-28 2024-03-28",
    ("NIFTY", "2023-10-17"): "2023-10-19 2023-10-26 2023-11-02 2023-11-09 2023-11-16 2023-11-30 "
    "2023-12-28 2024-03-28 2024-06-27 2024-09-26 2024-12-26 2025-06-26 2025-12-24 2026-06-25 "
    "2026-12-31 2027-06-24 2027-12-30 2028-06-29",
    ("NIFTY", "2024-11-12"): "2024-11-14 2024-11-21 2024-11-28 2024-12-05 2024-12-12 2024-12-26 "
    "2025-01-30 2025-03-27 2025-06-26 2025-09-25 2025-12-24 2026-06-25 2026-12-31 2027-06-24 "
    "2027-12-30 2028-06-29 2028-12-28 2029-06-28",
    ("BANKNIFTY", "2024-11-12"): "2024-11-13 2024-11-27 2024-12-24 2025-01-29 2025-03-26 "
    "2025-06-25 2025-09-24",
    # Published by brokers with the launch and with the change of the weekday.
    ("NIFTYNXT50", "2024-04-24"): "2024-05-31 2024-06-28 2024-07-26",
    ("NIFTYNXT50", "2024-11-12"): "2024-11-29 2024-12-27 2025-01-31",
}


@pytest.mark.parametrize(("product", "on"), SHOWN)
def test_the_list_of_a_date_is_the_one_that_was_shown(product: str, on: str) -> None:
    assert listed(product, on) == SHOWN[product, on].split()


def test_the_expiries_of_banknifty_in_the_year_of_the_change_are_those_that_were() -> None:
    happened = [
        day.isoformat()
        for n in range(31 + 29 + 31)
        if is_expiry("BANKNIFTY", (day := date(2024, 1, 1) + n * DAY).isoformat())
    ]
    assert happened == [
        *("2024-01-03", "2024-01-10", "2024-01-17", "2024-01-25", "2024-01-31"),
        *("2024-02-07", "2024-02-14", "2024-02-21", "2024-02-29"),
        *("2024-03-06", "2024-03-13", "2024-03-20", "2024-03-27"),
    ]


# --- any product, any date ---------------------------------------------------------------------


@given(product_and_date())
def test_any_list_rises_starts_no_earlier_than_its_date_and_has_the_counts_of_its_row(
    asked: tuple[str, str],
) -> None:
    product, on = asked
    dates = listed(product, on)
    assert dates == sorted(set(dates))
    assert dates[0] >= on
    rows = [row for row in contract_facts().listing if row.product == product]
    row = in_force(rows, date.fromisoformat(on))
    assert row is not None
    assert len(of_kind(product, on, "monthly")) == row.monthly
    assert len(of_kind(product, on, "quarterly")) == row.quarterly
    assert len(of_kind(product, on, "half_yearly")) == row.half_yearly
    assert len(of_kind(product, on, "weekly")) <= row.weekly
    if row.last_weekly == date.max:
        assert len(of_kind(product, on, "weekly")) == row.weekly


@given(product_and_date())
def test_what_happens_on_any_date_was_listed_the_day_before_unless_it_was_moved(
    asked: tuple[str, str],
) -> None:
    product, on = asked
    before = (date.fromisoformat(on) - DAY).isoformat()
    facts = contract_facts()
    starts = {row.start for row in (*facts.weekday, *facts.listing, *facts.moved)}
    moves = starts | {row.start for row in (*facts.late_closure, *facts.holidays_applied)}
    if is_expiry(product, on) and date.fromisoformat(on) not in moves:
        assert on in listed(product, before)


@given(product_and_date())
def test_any_expiry_is_a_trading_day_and_no_holiday(asked: tuple[str, str]) -> None:
    product, on = asked
    nearest = date.fromisoformat(listed(product, on)[0])
    if nearest <= LAST and is_expiry(product, nearest.isoformat()):
        assert nse_calendar().is_trading_date(FNO, nearest)
        assert nearest not in nse_calendar().holiday_sessions


def test_the_library_trades_on_every_expiry_but_the_saturday() -> None:
    market_calendars = pytest.importorskip("pandas_market_calendars")
    valid = market_calendars.get_calendar("NSE").valid_days("2018-01-01", str(LAST))
    open_days = {day.date() for day in valid}
    closed = {
        (product, day.isoformat())
        for product in PRODUCTS
        for n in range((LAST - first_date(product)).days + 1)
        if (day := first_date(product) + n * DAY) not in open_days
        and is_expiry(product, day.isoformat())
    }
    assert closed == {("MIDCPNIFTY", "2024-01-20")}


# --- what is not known -------------------------------------------------------------------------


@pytest.mark.parametrize("product", ["SENSEX", "BANKEX", "RELIANCE"])
def test_a_product_without_rules_is_refused_by_name(product: str) -> None:
    with pytest.raises(CalendarError, match=f"no expiry rules are known for {product}"):
        expiries(product, "2025-10-13")


@pytest.mark.parametrize("on", ["2017-12-28", "2027-01-04"])
def test_a_year_outside_the_calendar_is_refused(on: str) -> None:
    with pytest.raises(CalendarError, match=f"known for 2018 to 2026, not {on[:4]}"):
        expiries("NIFTY", on)


def test_a_date_before_the_first_contract_is_refused() -> None:
    with pytest.raises(CalendarError, match="FINNIFTY has contracts from 2021-01-11"):
        expiries("FINNIFTY", "2021-01-08")


def test_a_text_that_is_no_date_is_refused() -> None:
    with pytest.raises(CalendarError, match="'13-Oct-2025' is no date"):
        expiries("NIFTY", "13-Oct-2025")
