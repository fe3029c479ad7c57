"""Custom indicators: named numbers that a user's own pure functions compute from a chain.

One that raises, or returns something else, is isolated: its name gets no numbers but a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from numbers import Real
from types import MappingProxyType
from typing import Any, Final

from optionstream.schemas.derived import ChainAnalytics

Indicator = Callable[[ChainAnalytics], Mapping[str, float | None]]
Indicators = Mapping[str, Indicator]
NO_INDICATORS: Final[Indicators] = MappingProxyType({})

Numbers = dict[str, dict[str, float | None]]


def run(indicators: Indicators, chain: ChainAnalytics) -> tuple[Numbers, dict[str, str]]:
    """Return the numbers of each indicator by its name, and the reasons of those that failed.

    A number that is not finite becomes None: neither JSON nor a store can hold it.
    """
    numbers: Numbers = {}
    failed: dict[str, str] = {}
    for name, indicator in indicators.items():
        try:
            numbers[name] = {str(key): _number(v) for key, v in dict(indicator(chain)).items()}
        except Exception as error:
            numbers[name] = {}
            failed[f"custom_indicators.{name}"] = f"{type(error).__name__}: {error}"[:200]
    return numbers, failed


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, Real):
        raise TypeError(f"{value!r} is no number")
    number = float(value)
    return number if isfinite(number) else None
