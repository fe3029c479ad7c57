"""The market calendar: its rules, its table, and what libraries and real data say about it."""

from __future__ import annotations

import csv
import gzip
import itertools
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.schemas.errors import CalendarError
from optionstream.schemas.times import IST, ist, to_ms
from optionstream.streams.core.market.calendar import (
    CASH,
    FNO,
    SEGMENTS,
    Calendar,
    Hours,
    Phase,
    Session,
    Span,
    always_open_calendar,
    nse_calendar,
    product_info,
    segment_of,
)

SharedData = Callable[[str], Path]

NSE = nse_calendar()
FIRST, LAST = date(2018, 1, 1), date(2026, 12, 31)


def at(text: str) -> int:
    """Epoch ms of an IST wall time such as ``2024-03-02 09:15``."""
    return to_ms(datetime.fromisoformat(text).replace(tzinfo=IST))


def days(first: date, last: date) -> Iterator[date]:
    return (date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1))


def open_dates(first: date, last: date, calendar: Calendar = NSE) -> set[date]:
    return {day for day in days(first, last) if calendar.is_trading_date(CASH, day)}


def clock(sessions: tuple[Session, ...]) -> list[str]:
    """``["09:15-10:00", …]`` for reading in assertions."""
    return [f"{ist(s.open_ms):%H:%M}-{ist(s.close_ms):%H:%M}" for s in sessions]


def weekdays(dates: set[date]) -> set[date]:
    return {day for day in dates if day.weekday() < 5}


def texts(dates: set[date]) -> list[str]:
    return sorted(day.isoformat() for day in dates)


def table() -> dict[str, Any]:
    path = resources.files("optionstream.streams.core.market.data") / "nse_calendar.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def facts() -> list[dict[str, Any]]:
    """Every row of the table that states a fact."""
    rows = table()
    closures = itertools.chain.from_iterable(rows["closures"].values())
    return [
        *itertools.chain.from_iterable(
            rows[name] for name in ("hours", "pre_open", "special", "unscheduled")
        ),
        *closures,
    ]


# --- rules -----------------------------------------------------------------------------------


@pytest.mark.parametrize("segment", SEGMENTS)
def test_an_ordinary_weekday_has_one_session_from_0915_to_1530(segment: str) -> None:
    (session,) = NSE.sessions_for(segment, date(2025, 10, 27))
    assert session == Session("2025-10-27", at("2025-10-27 09:15"), at("2025-10-27 15:30"), 0)
    assert session.open_ms == to_ms(datetime(2025, 10, 27, 3, 45, tzinfo=UTC))


def test_derivatives_close_ten_minutes_later_from_3_august_2026_and_cash_does_not() -> None:
    friday, monday = date(2026, 7, 31), date(2026, 8, 3)
    assert clock(NSE.sessions_for(FNO, friday)) == ["09:15-15:30"]
    assert clock(NSE.sessions_for(FNO, monday)) == ["09:15-15:40"]
    assert clock(NSE.sessions_for(CASH, monday)) == ["09:15-15:30"]


def test_weekends_and_holidays_have_no_session() -> None:
    for day in (date(2025, 10, 25), date(2025, 10, 26), date(2025, 10, 22), date(2025, 11, 5)):
        assert NSE.sessions_for(CASH, day) == ()
        assert not NSE.is_trading_date(FNO, day)


@pytest.mark.parametrize("day", [date(2024, 3, 2), date(2024, 5, 18)])
def test_a_split_saturday_has_two_sessions_with_a_pause_between_them(day: date) -> None:
    first, second = NSE.sessions_for(CASH, day)
    assert clock((first, second)) == ["09:15-10:00", "11:30-12:30"]
    assert (first.index, second.index) == (0, 1)
    assert (first.key, second.key) == (day.isoformat(), f"{day}#1")
    assert NSE.session_at(CASH, at(f"{day} 10:30")) is None
    assert NSE.session_at(CASH, at(f"{day} 11:30")) is second


def test_the_day_of_the_2021_outage_is_split_and_ends_at_five() -> None:
    day = date(2021, 2, 24)
    assert clock(NSE.sessions_for(CASH, day)) == ["09:15-11:40", "15:45-17:00"]
    assert clock(NSE.sessions_for(FNO, day)) == ["09:15-11:43", "15:45-17:00"]


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        ("2018-11-07", "17:30-18:30"),
        ("2019-10-27", "18:15-19:15"),
        ("2020-11-14", "18:15-19:15"),
        ("2021-11-04", "18:15-19:15"),
        ("2022-10-24", "18:15-19:15"),
        ("2023-11-12", "18:15-19:15"),
        ("2024-11-01", "18:00-19:00"),
        ("2025-10-21", "13:45-14:45"),
    ],
)
def test_muhurat_is_the_only_session_of_its_day(day: str, hours: str) -> None:
    for segment in SEGMENTS:
        assert clock(NSE.sessions_for(segment, date.fromisoformat(day))) == [hours]


def test_the_muhurat_of_2026_is_listed_as_known_without_its_hours() -> None:
    assert set(NSE.unscheduled) == {date(2026, 11, 8)}
    assert NSE.sessions_for(CASH, date(2026, 11, 8)) == ()


@pytest.mark.parametrize("day", ["2020-02-01", "2024-01-20", "2025-02-01", "2026-02-01"])
def test_budget_days_and_the_full_saturday_trade_like_weekdays(day: str) -> None:
    assert clock(NSE.sessions_for(FNO, date.fromisoformat(day))) == ["09:15-15:30"]


def test_a_session_holds_its_opening_instant_and_not_its_closing_one() -> None:
    opens, closes = at("2025-10-27 09:15"), at("2025-10-27 15:30")
    assert NSE.session_at(CASH, opens - 1) is None
    assert NSE.session_at(CASH, opens) is not None
    assert NSE.session_at(CASH, closes - 1) is not None
    assert NSE.session_at(CASH, closes) is None


@pytest.mark.parametrize("year", [2009, 2017, 2027, 2099])
def test_a_year_outside_the_table_is_refused_by_name_and_never_taken_for_open(year: int) -> None:
    expected = rf"nse calendar covers 2018 to 2026, not {year}"
    with pytest.raises(CalendarError, match=expected):
        NSE.sessions_for(CASH, date(year, 6, 1))
    with pytest.raises(CalendarError, match=expected):
        NSE.session_at(CASH, at(f"{year}-06-01 10:00"))


def test_the_covered_years_end_at_midnight_ist() -> None:
    assert NSE.session_at(CASH, at("2018-01-01 00:00")) is None
    assert NSE.session_at(CASH, at("2026-12-31 23:59")) is None
    for outside in (at("2018-01-01 00:00") - 1, at("2027-01-01 00:00")):
        with pytest.raises(CalendarError):
            NSE.session_at(CASH, outside)


@pytest.mark.parametrize("ts_ms", [at("2025-10-27 10:00") * 1000, -(10**18), 10**30])
def test_a_stamp_beyond_every_date_is_refused_with_a_hint_at_its_unit(ts_ms: int) -> None:
    with pytest.raises(CalendarError, match="check the stamp's unit"):
        NSE.session_at(CASH, ts_ms)


def test_an_unknown_segment_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CalendarError, match="unknown segment 'currency': ask for cash or fno"):
        NSE.sessions_for("currency", date(2025, 10, 27))


@given(st.integers(at("2018-01-01 00:00"), at("2027-01-01 00:00") - 1), st.sampled_from(SEGMENTS))
def test_session_at_finds_exactly_the_session_of_the_date_that_holds_the_instant(
    ts_ms: int, segment: str
) -> None:
    holding = [
        session
        for session in NSE.sessions_for(segment, ist(ts_ms).date())
        if session.open_ms <= ts_ms < session.close_ms
    ]
    assert NSE.session_at(segment, ts_ms) == (holding[0] if holding else None)
    assert len(holding) <= 1


def test_every_session_lies_within_its_date_after_the_one_before() -> None:
    keys = set()
    for segment in SEGMENTS:
        end = 0
        for day in days(FIRST, LAST):
            for index, session in enumerate(NSE.sessions_for(segment, day)):
                assert (session.date, session.index) == (day.isoformat(), index)
                assert end <= session.open_ms < session.close_ms
                assert ist(session.open_ms).date() == ist(session.close_ms - 1).date() == day
                end = session.close_ms
                keys.add((segment, session.key))
    assert len(keys) == sum(
        len(NSE.sessions_for(segment, day)) for segment in SEGMENTS for day in days(FIRST, LAST)
    )


def test_repeated_questions_get_the_same_session_objects() -> None:
    assert NSE.session_at(CASH, at("2025-10-27 10:00")) is NSE.session_at(
        CASH, at("2025-10-27 15:00")
    )
    assert nse_calendar() is NSE


@given(st.integers(at("2000-01-01 00:00"), at("2101-01-01 00:00") - 1), st.sampled_from(SEGMENTS))
def test_the_always_open_calendar_has_one_session_at_every_instant(
    ts_ms: int, segment: str
) -> None:
    session = always_open_calendar().session_at(segment, ts_ms)
    assert session is not None
    assert session.key == ist(ts_ms).date().isoformat()
    assert session.close_ms - session.open_ms == 86_400_000
    assert ist(session.open_ms).time() == time(0)


def test_the_always_open_calendar_ends_with_2100() -> None:
    with pytest.raises(CalendarError, match="always-open calendar covers 2000 to 2100, not 2101"):
        always_open_calendar().session_at(CASH, at("2101-01-01 00:00"))


def test_a_session_that_ends_before_it_begins_cannot_be_made() -> None:
    with pytest.raises(CalendarError, match="from minute 930 to 555"):
        Span(930, 555)


def test_the_newest_hours_row_that_has_begun_is_in_force() -> None:
    calendar = Calendar(
        "two-rows",
        first_year=2020,
        last_year=2020,
        hours=[
            Hours(CASH, date(2020, 1, 6), Span(540, 600)),
            Hours(CASH, date(2020, 1, 8), Span(540, 660)),
        ],
    )
    assert [clock(calendar.sessions_for(CASH, date(2020, 1, day))) for day in (3, 6, 7, 8)] == [
        [],
        ["09:00-10:00"],
        ["09:00-10:00"],
        ["09:00-11:00"],
    ]


def test_underlying_ticks_belong_to_the_cash_segment() -> None:
    assert segment_of("NIFTY") == segment_of("BANKNIFTY") == CASH


@pytest.mark.parametrize(("product", "step", "width"), [("NIFTY", 50, 21), ("BANKNIFTY", 100, 41)])
def test_the_two_main_products_have_the_users_chain_widths(
    product: str, step: int, width: int
) -> None:
    info = product_info(product)
    assert info is not None
    assert (info.product, info.strike_step, info.chain_width) == (product, step, width)


def test_a_product_that_is_not_listed_has_no_strike_grid() -> None:
    assert product_info("SENSEX") is None


# --- phases ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "cash", "fno"),
    [
        ("2025-10-27 08:59", "closed", "closed"),
        ("2025-10-27 09:00", "pre_open", "closed"),
        ("2025-10-27 09:14", "pre_open", "closed"),
        ("2025-10-27 09:15", "session", "session"),
        ("2025-10-27 15:29", "session", "session"),
        ("2025-10-27 15:30", "after_close", "after_close"),
        ("2025-10-27 23:59", "after_close", "after_close"),
        ("2025-10-28 00:00", "closed", "closed"),
        ("2025-12-05 09:05", "pre_open", "closed"),
        ("2025-12-08 09:05", "pre_open", "pre_open"),
        ("2026-08-03 15:35", "after_close", "session"),
        ("2025-10-25 09:05", "closed", "closed"),
        ("2025-10-22 16:00", "closed", "closed"),
        ("2024-03-02 10:00", "closed", "closed"),
        ("2024-03-02 11:20", "pre_open", "closed"),
        ("2024-03-02 12:30", "after_close", "after_close"),
        ("2021-02-24 15:35", "pre_open", "closed"),
        ("2025-10-21 09:05", "closed", "closed"),
        ("2025-10-21 13:35", "pre_open", "closed"),
        ("2026-02-01 09:05", "pre_open", "pre_open"),
    ],
)
def test_an_instant_is_of_one_phase_by_segment(moment: str, cash: Phase, fno: Phase) -> None:
    assert (NSE.phase_at(CASH, at(moment)), NSE.phase_at(FNO, at(moment))) == (cash, fno)


@given(st.integers(at("2018-01-01 00:00"), at("2027-01-01 00:00") - 1), st.sampled_from(SEGMENTS))
def test_the_phase_is_session_exactly_where_a_session_is(ts_ms: int, segment: str) -> None:
    in_session = NSE.session_at(segment, ts_ms) is not None
    assert (NSE.phase_at(segment, ts_ms) == "session") == in_session


def test_every_session_of_the_cash_segment_follows_on_a_quarter_of_an_hour_of_pre_open() -> None:
    for day in days(FIRST, LAST):
        for session in NSE.sessions_for(CASH, day):
            assert NSE.phase_at(CASH, session.open_ms - 1) == "pre_open"
            assert NSE.phase_at(CASH, session.open_ms - 900_000) == "pre_open"
            assert NSE.phase_at(CASH, session.open_ms - 900_001) == "closed"


def test_a_phase_outside_the_table_is_refused_like_a_session() -> None:
    with pytest.raises(CalendarError, match="covers 2018 to 2026, not 2027"):
        NSE.phase_at(CASH, at("2027-01-04 09:05"))
    with pytest.raises(CalendarError, match="unknown segment"):
        NSE.phase_at("currency", at("2025-10-27 09:05"))


def test_the_always_open_calendar_has_no_other_phase_than_session() -> None:
    assert always_open_calendar().phase_at(CASH, at("2025-10-25 03:00")) == "session"


def test_a_special_date_without_a_known_pre_open_has_none() -> None:
    day = date(2020, 1, 4)
    calendar = Calendar(
        "special",
        first_year=2020,
        last_year=2020,
        hours=[Hours(CASH, date(2020, 1, 1), Span(555, 930))],
        pre_open=[Hours(CASH, date(2020, 1, 1), Span(540, 555))],
        special={(CASH, day): (Span(600, 660),)},
    )
    assert calendar.phase_at(CASH, at("2020-01-03 09:05")) == "pre_open"
    assert calendar.phase_at(CASH, at("2020-01-04 09:05")) == "closed"
    assert calendar.phase_at(CASH, at("2020-01-04 09:55")) == "closed"


# --- the table -------------------------------------------------------------------------------


def test_every_fact_names_its_source() -> None:
    assert [row for row in facts() if not row.get("source", "").strip()] == []


def test_closures_are_weekdays_of_their_year_listed_once_and_in_order() -> None:
    years = table()["closures"]
    assert sorted(years) == [str(year) for year in range(FIRST.year, LAST.year + 1)]
    for year, rows in years.items():
        dates = [row["date"] for row in rows]
        assert dates == sorted(set(dates))
        assert all(day.year == int(year) and day.weekday() < 5 for day in dates)
        assert len(dates) >= 12, "a year with so few closures is a year half entered"


def test_no_date_is_both_closed_and_special_and_none_is_special_twice() -> None:
    rows = table()
    special = [(segment, row["date"]) for row in rows["special"] for segment in row["segments"]]
    assert len(special) == len(set(special))
    assert {day for _, day in special}.isdisjoint(NSE.closures)
    assert set(NSE.unscheduled).isdisjoint({day for _, day in special} | set(NSE.closures))


def test_the_holidays_with_a_session_are_the_muhurat_days() -> None:
    named = {row["date"] for row in table()["special"] if row["name"].startswith("Muhurat")}
    assert named == NSE.holiday_sessions
    assert len(named) == 8


def test_both_segments_trade_on_the_same_dates() -> None:
    for day in days(FIRST, LAST):
        assert NSE.is_trading_date(CASH, day) == NSE.is_trading_date(FNO, day)


# --- other people's calendars ----------------------------------------------------------------

MUHURAT_ON_WEEKDAYS = ["2018-11-07", "2021-11-04", "2022-10-24", "2024-11-01", "2025-10-21"]
WEEKEND_SESSIONS = [
    "2019-10-27",
    "2020-02-01",
    "2020-11-14",
    "2023-11-12",
    "2024-01-20",
    "2024-03-02",
    "2024-05-18",
    "2025-02-01",
    "2026-02-01",
]


def library_schedule(name: str) -> dict[date, str]:
    """``date -> "09:15-15:30"`` of one calendar of pandas_market_calendars."""
    market_calendars = pytest.importorskip("pandas_market_calendars")
    rows = market_calendars.get_calendar(name).schedule(str(FIRST), str(LAST), tz=IST)
    return {
        row.Index.date(): f"{row.market_open:%H:%M}-{row.market_close:%H:%M}"
        for row in rows.itertuples()
    }


def exchange_calendars_dates() -> set[date]:
    """Sessions of XBOM, the only Indian calendar of exchange_calendars."""
    exchange_calendars = pytest.importorskip("exchange_calendars")
    calendar = exchange_calendars.get_calendar("XBOM", start=str(FIRST), end=str(LAST))
    return {session.date() for session in calendar.sessions}


def assert_libraries_differ(
    theirs: set[date], *, only_theirs: list[str], only_ours: list[str]
) -> None:
    """No library knows the weekend sessions; ``only_…`` are its differences on weekdays."""
    ours = open_dates(FIRST, LAST)
    assert texts(theirs - ours) == only_theirs
    assert texts(weekdays(ours - theirs)) == only_ours
    assert texts(ours - theirs - weekdays(ours)) == WEEKEND_SESSIONS


def test_the_library_calendar_of_nse_has_the_same_weekdays() -> None:
    assert_libraries_differ(set(library_schedule("NSE")), only_theirs=[], only_ours=[])


def test_the_library_calendar_of_bse_errs_on_2020_holidays_and_on_later_muhurat_days() -> None:
    # Bakri Id fell on Saturday 1 August, Id-ul-Fitr on Monday 25 May: the candles say so too.
    assert_libraries_differ(
        set(library_schedule("BSE")),
        only_theirs=["2020-05-25"],
        only_ours=["2020-07-31", *MUHURAT_ON_WEEKDAYS[1:]],
    )


def test_exchange_calendars_calls_the_muhurat_weekdays_closed() -> None:
    assert_libraries_differ(
        exchange_calendars_dates(), only_theirs=[], only_ours=MUHURAT_ON_WEEKDAYS
    )


def test_the_library_would_call_republic_day_2027_open_where_the_table_refuses() -> None:
    market_calendars = pytest.importorskip("pandas_market_calendars")
    library = market_calendars.get_calendar("NSE")
    assert len(library.valid_days("2027-01-01", "2027-12-31")) == 261, "every weekday of 2027"
    with pytest.raises(CalendarError):
        NSE.is_trading_date(CASH, date(2027, 1, 26))


def test_the_library_agrees_on_hours_except_for_the_outage_and_the_new_derivatives_close() -> None:
    theirs = library_schedule("NSE")
    differ = {
        day.isoformat(): (hours, clock(NSE.sessions_for(CASH, day)))
        for day, hours in theirs.items()
        if [hours] != clock(NSE.sessions_for(CASH, day))
    }
    # The library gives the extended close and leaves out the four hours of pause.
    assert differ == {"2021-02-24": ("09:15-17:00", ["09:15-11:40", "15:45-17:00"])}
    derivatives = {
        day for day, hours in theirs.items() if [hours] != clock(NSE.sessions_for(FNO, day))
    }
    assert texts(derivatives)[:2] == ["2021-02-24", "2026-08-03"]
    assert derivatives - {date(2021, 2, 24)} == open_dates(date(2026, 8, 3), LAST)


# --- real data -------------------------------------------------------------------------------


def minutes_by_date(file: Path) -> dict[date, list[tuple[str, str]]]:
    """``date -> [(HH:MM, OHLC text), …]`` of a 2024 one-minute file."""
    out: dict[date, list[tuple[str, str]]] = defaultdict(list)
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = csv.reader(lines)
        next(rows)
        for row in rows:
            out[datetime.strptime(row[1], "%Y%m%d").date()].append((row[2], ",".join(row[3:])))
    return out


def missing(present: set[date]) -> list[str]:
    """Trading dates within the data's range that the data lacks."""
    return texts(open_dates(min(present), max(present)) - present)


def not_trading(present: set[date]) -> list[str]:
    return texts(present - open_dates(min(present), max(present)))


@pytest.mark.parametrize("product", ["NIFTY", "BANKNIFTY"])
def test_every_2024_date_with_minute_candles_trades_and_the_gaps_of_the_file_are_known(
    shared_data: SharedData, product: str
) -> None:
    present = set(minutes_by_date(shared_data("ohlc-1min-index") / f"{product}_1min_2024.csv.gz"))
    assert not_trading(present) == []
    # Holes of the file, not holidays: the daily candles of a share have all five dates.
    assert missing(present) == [
        "2024-02-01",
        "2024-03-04",
        "2024-04-05",
        "2024-05-07",
        "2024-07-10",
    ]


@pytest.mark.parametrize("product", ["NIFTY", "BANKNIFTY"])
def test_the_2024_minute_candles_fill_the_sessions_and_nothing_outside_them(
    shared_data: SharedData, product: str
) -> None:
    data = minutes_by_date(shared_data("ohlc-1min-index") / f"{product}_1min_2024.csv.gz")
    outside = defaultdict(list)
    for day, rows in data.items():
        for label, ohlc in rows:
            if NSE.session_at(CASH, at(f"{day} {label}")) is None:
                outside[day].append((label, ohlc))
        expected = sum(s.close_ms - s.open_ms for s in NSE.sessions_for(CASH, day)) // 60_000
        # A handful of days lack a few minutes; a wrong session would lack dozens.
        assert expected - 5 <= len(rows) - len(outside[day]) <= expected, day
    padded = {day: rows for day, rows in outside.items() if rows}
    # 2024-01-20 is padded to 18:16 with a price that stands still but for the closing one.
    assert set(padded) == {date(2024, 1, 20)}
    rows = padded[date(2024, 1, 20)]
    assert rows[0][0] == "15:30"
    assert rows[-1][0] == "18:16"
    assert len({ohlc for _, ohlc in rows}) == 3


def test_the_2018_to_2023_candles_agree_except_for_short_days_and_gaps_of_the_file(
    shared_data: SharedData,
) -> None:
    file = shared_data("ohlc-1min-index") / "BANKNIFTY_15min_2018_2023_epoch.csv.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        stamps = [int(row["Time"]) * 1000 for row in csv.DictReader(lines)]
    assert [ms for ms in stamps if NSE.session_at(CASH, ms) is None] == []
    # The file holds complete days of 25 candles only.
    partial = {
        *MUHURAT_ON_WEEKDAYS[:3],
        "2019-10-27",  # Muhurat
        "2020-03-13",  # halted by the circuit breaker
        "2020-03-23",  # halted by the circuit breaker
        "2020-11-14",  # Muhurat
        "2021-02-24",  # outage
    }
    gaps = {"2018-02-08", "2018-04-18", "2018-04-19", "2018-04-20", "2019-10-25", "2022-03-07"}
    assert missing({ist(ms).date() for ms in stamps}) == sorted(partial | gaps)


def test_the_daily_candles_of_a_share_have_exactly_the_trading_dates_since_july_2020(
    shared_data: SharedData,
) -> None:
    file = shared_data("candles-multi-tf") / "reliance_daily_2000days.csv"
    with file.open(encoding="utf-8") as lines:
        present = {date.fromisoformat(row["date"][:10]) for row in csv.DictReader(lines)}
    assert (min(present), max(present)) == (date(2020, 7, 8), date(2025, 12, 26))
    assert present == open_dates(min(present), max(present))


@pytest.mark.parametrize("share", ["reliance", "tcs"])
def test_the_quarter_hour_candles_of_2025_cover_each_session_and_muhurat_with_four(
    shared_data: SharedData, share: str
) -> None:
    file = shared_data("candles-multi-tf") / f"{share}_15min_200days.csv"
    seen = defaultdict(list)
    with file.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            moment = datetime.fromisoformat(row["date"])
            seen[moment.date()].append(to_ms(moment))
    assert set(seen) == open_dates(min(seen), max(seen))
    for day, stamps in seen.items():
        (session,) = NSE.sessions_for(CASH, day)
        assert min(stamps) == session.open_ms
        assert max(stamps) == session.close_ms - 15 * 60_000
    assert len(seen[date(2025, 10, 21)]) == 4


def test_the_exchanges_own_daily_index_file_has_exactly_the_trading_dates_of_its_year(
    shared_data: SharedData,
) -> None:
    file = shared_data("nse-csv-export") / "ref.NIFTY 50-14-02-2025-to-14-02-2026.csv"
    with file.open(encoding="utf-8-sig") as lines:
        rows = csv.DictReader(lines)
        present = {datetime.strptime(row["Date "].strip(), "%d-%b-%Y").date() for row in rows}
    assert date(2026, 2, 1) in present, "the Sunday of the 2026 budget"
    assert date(2026, 1, 15) not in present, "the municipal elections"
    assert present == open_dates(min(present), max(present))


def test_the_2025_option_chains_were_captured_on_every_trading_date_but_muhurat(
    shared_data: SharedData,
) -> None:
    file = shared_data("nse-json-intraday-nifty-2025") / "manifest.csv"
    with file.open(encoding="utf-8") as lines:
        stamps = [row["nse_timestamp_ist"][:11] for row in csv.DictReader(lines)]
    present = {datetime.strptime(stamp, "%d-%b-%Y").date() for stamp in stamps}
    assert not_trading(present) == []
    assert missing(present) == ["2025-10-21"]


def test_the_wildest_move_of_a_tick_file_lies_in_the_pre_open(shared_data: SharedData) -> None:
    file = shared_data("ticks-nifty-1s-2022") / "2022-08-10.csv.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [line.strip().split(",") for line in lines if "," in line]
    ticks = [(NSE.phase_at(CASH, at(stamp)), float(price)) for stamp, price in rows]
    assert {phase for phase, _ in ticks} == {"pre_open", "session", "after_close"}
    moves = [
        (abs(price - before), phase) for (_, before), (phase, price) in itertools.pairwise(ticks)
    ]
    assert max(moves)[1] == "pre_open"
    assert max(moves)[0] > 10 * max(move for move, phase in moves if phase == "session")


def test_tick_files_that_repeat_the_day_before_are_those_of_closed_days(
    shared_data: SharedData,
) -> None:
    folder = shared_data("ticks-nifty-1s-2022")
    prices = {}
    for file in sorted(folder.glob("*.csv.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            prices[date.fromisoformat(file.name[:10])] = [
                line.split(",")[1].strip() for line in lines if "," in line
            ]
    # Two Saturdays hold Friday's rows and ninety seconds more of its last price: a prefix.
    copies = {
        day
        for day, own in prices.items()
        for back in (1, 2)
        if (before := prices.get(day - timedelta(days=back))) and own[: len(before)] == before
    }
    closed = {day for day in prices if not NSE.is_trading_date(CASH, day)}
    assert copies <= closed
    assert texts(closed - copies) == ["2022-09-24"], "its Friday is not in the folder"
    assert texts(weekdays(closed)) == ["2022-10-05"]
    assert (len(prices), len(closed)) == (55, 18)
