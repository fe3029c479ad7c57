"""Contracts: the time of expiry, lots by expiry and date, strike grids; and their table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.schemas.errors import CalendarError
from optionstream.schemas.times import IST, to_ms
from optionstream.streams.core.market import contracts
from optionstream.streams.core.market.calendar import CASH, FNO, nse_calendar, product_info
from optionstream.streams.core.market.contract_facts import contract_facts
from optionstream.streams.core.market.contracts import (
    chain_width,
    expiry_instant,
    lot_size,
    sessions_for,
    strike_step,
)

FACTS = contract_facts()
PRODUCTS = ("NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "NIFTYNXT50")
COVERED = st.dates(date(2018, 1, 1), date(2026, 12, 31))


def at(text: str) -> int:
    return to_ms(datetime.fromisoformat(text).replace(tzinfo=IST))


# --- the time of expiry ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expiry", "moment"),
    [
        ("2018-01-25", "2018-01-25 15:30"),
        ("2025-10-28", "2025-10-28 15:30"),
        ("2026-07-28", "2026-07-28 15:30"),
        ("2026-08-04", "2026-08-04 15:40"),
        ("2030-06-25", "2030-06-25 15:40"),
    ],
)
def test_a_contract_ends_at_the_closing_time_of_derivatives_on_its_date(
    expiry: str, moment: str
) -> None:
    assert expiry_instant("NIFTY", expiry) == at(moment)


@given(COVERED)
def test_on_a_regular_day_contracts_end_when_the_derivatives_session_does(day: date) -> None:
    sessions = [s for s in sessions_for(FNO, day) if day.weekday() < 5]
    if len(sessions) == 1 and day not in nse_calendar().holiday_sessions:
        assert expiry_instant("NIFTY", day.isoformat()) == sessions[-1].close_ms


def test_a_product_without_rules_and_a_date_that_later_moved_have_a_time_of_expiry_too() -> None:
    assert expiry_instant("SENSEX", "2025-10-28") == at("2025-10-28 15:30")
    # Listed in 2025, then moved to the 30th for a holiday.
    assert expiry_instant("NIFTY", "2026-03-31") == at("2026-03-31 15:30")


def test_an_expiry_before_the_table_is_refused_by_name() -> None:
    with pytest.raises(CalendarError, match="known from 2018-01-01, not NIFTY of 2017-12-28"):
        expiry_instant("NIFTY", "2017-12-28")


@pytest.mark.parametrize("text", ["28-Oct-2025", "2025-02-30", ""])
def test_a_text_that_is_no_date_is_refused(text: str) -> None:
    asks: list[Callable[[], int | None]] = [
        lambda: expiry_instant("NIFTY", text),
        lambda: lot_size("NIFTY", text, "2025-10-27"),
        lambda: lot_size("NIFTY", "2025-10-28", text),
        lambda: strike_step("NIFTY", text),
    ]
    for ask in asks:
        with pytest.raises(CalendarError, match="is no date"):
            ask()


# --- lots --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("product", "expiry", "on", "lot"),
    [
        ("NIFTY", "2018-10-25", "2018-10-15", 75),
        # 75 to 50 with the monthly of July 2021; the long-dated ones after the June expiry.
        ("NIFTY", "2021-07-22", "2021-07-20", 75),
        ("NIFTY", "2021-07-29", "2021-05-03", 50),
        ("NIFTY", "2021-08-05", "2021-06-25", 50),
        ("NIFTY", "2021-12-30", "2021-06-24", 75),
        ("NIFTY", "2021-12-30", "2021-06-25", 50),
        # 50 to 25 for all at once.
        ("NIFTY", "2024-06-27", "2024-04-25", 50),
        ("NIFTY", "2024-05-02", "2024-04-26", 25),
        ("NIFTY", "2024-06-27", "2024-04-26", 25),
        # 25 to 75 for new contracts, later for the long-dated ones.
        ("NIFTY", "2024-12-19", "2024-12-18", 25),
        ("NIFTY", "2024-12-26", "2024-12-26", 25),
        ("NIFTY", "2025-01-02", "2024-11-22", 75),
        ("NIFTY", "2025-01-30", "2025-01-29", 25),
        ("NIFTY", "2025-02-27", "2024-11-29", 75),
        ("NIFTY", "2025-03-27", "2024-12-26", 25),
        ("NIFTY", "2025-03-27", "2024-12-27", 75),
        ("NIFTY", "2029-06-28", "2024-12-27", 75),
        # 75 to 65 with the expiries of January 2026; the long-dated ones at the end of 2025.
        ("NIFTY", "2025-12-30", "2025-12-29", 75),
        ("NIFTY", "2026-01-27", "2025-10-29", 65),
        ("NIFTY", "2026-03-31", "2025-12-26", 75),
        ("NIFTY", "2026-03-30", "2025-12-30", 75),
        ("NIFTY", "2026-03-30", "2025-12-31", 65),
        ("NIFTY", "2030-06-25", "2025-12-31", 65),
        ("BANKNIFTY", "2018-01-25", "2018-01-02", 40),
        ("BANKNIFTY", "2018-11-29", "2018-10-25", 40),
        ("BANKNIFTY", "2018-11-01", "2018-10-26", 20),
        ("BANKNIFTY", "2020-07-23", "2020-07-20", 20),
        ("BANKNIFTY", "2020-07-30", "2020-07-20", 25),
        ("BANKNIFTY", "2023-07-20", "2023-07-19", 25),
        ("BANKNIFTY", "2023-07-27", "2023-05-02", 15),
        ("BANKNIFTY", "2023-12-28", "2023-06-28", 25),
        ("BANKNIFTY", "2023-12-28", "2023-06-30", 15),
        ("BANKNIFTY", "2025-01-30", "2025-01-15", 15),
        ("BANKNIFTY", "2025-02-27", "2024-12-02", 30),
        ("BANKNIFTY", "2025-03-26", "2024-12-24", 15),
        ("BANKNIFTY", "2025-03-26", "2024-12-26", 30),
        ("BANKNIFTY", "2025-06-26", "2025-06-25", 30),
        ("BANKNIFTY", "2025-07-31", "2025-04-25", 35),
        ("BANKNIFTY", "2025-12-24", "2025-04-25", 35),
        ("BANKNIFTY", "2026-01-27", "2025-11-03", 30),
        ("BANKNIFTY", "2026-06-30", "2025-12-30", 35),
        ("BANKNIFTY", "2026-06-30", "2025-12-31", 30),
        ("FINNIFTY", "2024-07-23", "2024-07-22", 40),
        ("FINNIFTY", "2024-07-30", "2024-07-22", 25),
        ("FINNIFTY", "2025-01-30", "2025-01-15", 25),
        ("FINNIFTY", "2025-02-27", "2025-01-15", 65),
        ("FINNIFTY", "2026-01-27", "2025-11-03", 60),
        ("MIDCPNIFTY", "2024-07-22", "2024-07-19", 75),
        ("MIDCPNIFTY", "2024-07-29", "2024-07-19", 50),
        ("MIDCPNIFTY", "2025-06-26", "2025-06-02", 120),
        ("MIDCPNIFTY", "2025-07-31", "2025-06-02", 140),
        ("MIDCPNIFTY", "2026-02-24", "2026-02-02", 120),
        ("NIFTYNXT50", "2024-11-29", "2024-11-25", 10),
        ("NIFTYNXT50", "2025-01-31", "2024-12-02", 10),
        ("NIFTYNXT50", "2025-07-31", "2025-07-16", 25),
    ],
)
def test_a_lot_belongs_to_an_expiry_and_a_date(
    product: str, expiry: str, on: str, lot: int
) -> None:
    assert lot_size(product, expiry, on) == lot


def test_after_its_expiry_a_contract_keeps_its_last_lot() -> None:
    assert lot_size("NIFTY", "2025-12-30", "2026-01-05") == 75
    assert lot_size("NIFTY", "2026-10-27", "2026-12-01") == 65


@pytest.mark.parametrize(
    ("product", "expiry", "on"),
    [
        ("SENSEX", "2025-10-28", "2025-10-27"),
        ("NIFTY", "2018-01-25", "2017-12-29"),
        ("FINNIFTY", "2021-01-14", "2021-01-08"),
        # The review of September 2026 may have changed it.
        ("NIFTY", "2026-12-29", "2026-10-28"),
    ],
)
def test_a_lot_that_no_row_covers_is_unknown(product: str, expiry: str, on: str) -> None:
    assert lot_size(product, expiry, on) is None
    assert contracts.LOT_SIZE_UNKNOWN == "lot_size_unknown"


@given(st.sampled_from(PRODUCTS), COVERED, COVERED)
def test_a_lot_is_one_of_the_product_or_unknown(product: str, expiry: date, on: date) -> None:
    lots = {row.lot for row in FACTS.lot if row.product == product}
    assert lot_size(product, expiry.isoformat(), on.isoformat()) in lots | {None}


# --- strikes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("product", "on", "step", "width"),
    [
        ("NIFTY", "2018-10-15", 50, 21),
        ("NIFTY", "2026-06-19", 50, 21),
        ("BANKNIFTY", "2025-07-16", 100, 41),
        ("FINNIFTY", "2025-07-16", 50, 21),
        ("FINNIFTY", "2022-07-15", None, 21),
        ("MIDCPNIFTY", "2025-07-16", 25, 21),
        ("NIFTYNXT50", "2024-04-24", 100, 21),
        ("NIFTYNXT50", "2024-04-23", None, 21),
        ("SENSEX", "2025-07-16", None, None),
    ],
)
def test_strike_steps_are_dated_and_chain_widths_are_the_users(
    product: str, on: str, step: int | None, width: int | None
) -> None:
    assert strike_step(product, on) == step
    assert chain_width(product) == width


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_calendars_product_info_is_the_newest_grid(product: str) -> None:
    info = product_info(product)
    assert info is not None
    assert (info.strike_step, info.chain_width) == (
        strike_step(product, "2026-06-19"),
        chain_width(product),
    )


# --- the table ---------------------------------------------------------------------------------


def test_every_row_names_its_source() -> None:
    rows = [
        *FACTS.listing,
        *FACTS.weekday,
        FACTS.holidays,
        *FACTS.holidays_applied,
        *FACTS.late_closure,
        *FACTS.moved,
        *FACTS.expiry_time,
        *FACTS.lot,
        *FACTS.grid,
    ]
    assert [row for row in rows if not row.source.strip()] == []


def test_rows_of_a_product_stand_in_the_order_of_their_dates() -> None:
    by_product = [
        [(row.product, row.start) for row in FACTS.listing],
        [(row.product, row.start) for row in FACTS.lot],
        [(row.product, row.start) for row in FACTS.grid],
        [
            (f"{product} {rule.cycle}", rule.start)
            for rule in FACTS.weekday
            for product in rule.products
        ],
    ]
    for rows in by_product:
        ordered = sorted(rows, key=lambda row: row[0])
        for _, group in groupby(ordered, key=lambda row: row[0]):
            starts = [start for _, start in group]
            assert starts == sorted(starts)


def test_each_product_with_contracts_has_lots_weekdays_and_a_grid_from_its_first_day() -> None:
    for product in PRODUCTS:
        first = min(row.start for row in FACTS.listing if row.product == product)
        assert min(row.start for row in FACTS.lot if row.product == product) == first
        assert min(rule.start for rule in FACTS.weekday if product in rule.products) == first
        assert any(row.product == product for row in FACTS.grid)
    assert {row.product for row in FACTS.listing} == set(PRODUCTS)


def test_a_lot_row_that_follows_another_changes_the_lot_or_the_expiries() -> None:
    for older, newer in pairwise(FACTS.lot):
        if older.product == newer.product:
            assert newer.expiries_from <= newer.expiries_to
            assert (older.lot, older.expiries_to) != (newer.lot, newer.expiries_to)


def test_sessions_are_the_calendars() -> None:
    day = date(2024, 3, 2)
    assert sessions_for(CASH, day) is nse_calendar().sessions_for(CASH, day)
