"""Finding the user's indicators: entry points of the group ``optionstream.indicators``.

What one of them raises at a chain is told in that chain's ``null_reasons`` by the core; here it is
also logged, once for each kind of failure, and counted. One that cannot be loaded is left out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points

from prometheus_client import Counter

from optionstream.schemas.derived import ChainAnalytics
from optionstream.streams.core.indicators import Indicator, Indicators

logger = logging.getLogger(__name__)

GROUP = "optionstream.indicators"
FAILURES = Counter(
    "optionstream_indicator_failures",
    "Chains of which a custom indicator raised an error",
    ["indicator"],
)


def installed_indicators() -> Indicators:
    """Every indicator of the installed packages, by the name of its entry point."""
    return load(entry_points(group=GROUP))


def load(points: Iterable[EntryPoint]) -> Indicators:
    """The indicators that can be loaded; the others are errors in the log."""
    found: dict[str, Indicator] = {}
    for point in sorted(points, key=lambda one: (one.name, one.value)):
        if point.name in found:
            logger.error("indicator %s: %s is left out, the name is taken", point.name, point.value)
            continue
        try:
            indicator = point.load()
            if not callable(indicator):
                raise TypeError(f"{point.value} is not callable")
        except Exception:
            logger.exception("indicator %s cannot be loaded from %s", point.name, point.value)
            FAILURES.labels(point.name).inc()
            continue
        found[point.name] = Reported(point.name, indicator)
    return found


class Reported:
    """An indicator whose failures are logged and counted before they are passed on."""

    def __init__(self, name: str, indicator: Indicator) -> None:
        self._name = name
        self._indicator = indicator
        self._told: set[str] = set()

    def __call__(self, chain: ChainAnalytics) -> Mapping[str, float | None]:
        try:
            return self._indicator(chain)
        except Exception as error:
            FAILURES.labels(self._name).inc()
            kind = type(error).__name__
            if kind not in self._told:
                self._told.add(kind)
                logger.exception("indicator %s failed at %s", self._name, chain.id)
            raise
