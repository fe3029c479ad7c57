"""The user's own indicators: found, isolated, reported."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint

import pytest

from optionstream.schemas.derived import ChainAnalytics
from optionstream.streams.analytics.indicators import GROUP, installed_indicators, load
from optionstream.streams.core.chains.analyse import ExpiryChains
from optionstream.streams.core.indicators import Indicator
from tests.unit.streams.core.chains.building import NOON, RULES, priced_chain


def width(chain: ChainAnalytics) -> dict[str, float | None]:
    return {"strikes": len(chain.strikes), "unknown": None, "endless": float("inf")}


def broken(chain: ChainAnalytics) -> dict[str, float | None]:
    raise ZeroDivisionError("no such leg")


def wordy(chain: ChainAnalytics) -> dict[str, float | None]:
    return {"text": "12.5"}  # type: ignore[dict-item]


def analysed(indicators: Mapping[str, Indicator]) -> ChainAnalytics:
    return ExpiryChains().analyse(priced_chain(), RULES, NOON, indicators)


def test_an_indicator_gives_named_numbers_and_what_is_not_finite_is_null() -> None:
    told = analysed({"width": width})
    assert told.custom_indicators == {"width": {"strikes": 17.0, "unknown": None, "endless": None}}
    assert told.null_reasons == {}


def test_one_that_raises_is_isolated_and_told() -> None:
    told = analysed({"broken": broken, "width": width, "wordy": wordy})
    assert told.custom_indicators["broken"] == {}
    assert told.custom_indicators["wordy"] == {}
    assert told.custom_indicators["width"]["strikes"] == 17.0
    assert told.null_reasons == {
        "custom_indicators.broken": "ZeroDivisionError: no such leg",
        "custom_indicators.wordy": "TypeError: '12.5' is no number",
    }
    assert told.atm_iv is not None


def test_entry_points_are_loaded_and_those_that_cannot_be_are_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    here = __name__
    found = load(
        [
            EntryPoint("width", f"{here}:width", GROUP),
            EntryPoint("absent", "no_such_module:f", GROUP),
            EntryPoint("number", f"{here}:GROUP", GROUP),
        ]
    )
    assert list(found) == ["width"]
    assert analysed(found).custom_indicators["width"]["strikes"] == 17.0
    assert {record.args[0] for record in caplog.records if record.args} == {"absent", "number"}


def test_a_failure_is_logged_once_for_each_kind(caplog: pytest.LogCaptureFixture) -> None:
    found = load([EntryPoint("broken", f"{__name__}:broken", GROUP)])
    analysed(found)
    analysed(found)
    assert len([record for record in caplog.records if "broken" in record.getMessage()]) == 1


def test_nothing_is_installed_here() -> None:
    assert dict(installed_indicators()) == {}
