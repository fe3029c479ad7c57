"""The same analytics without servers: for ``optionstream inspect``."""

from __future__ import annotations

from optionstream.schemas.derived import ChainAnalytics
from optionstream.schemas.events import ChainSnapshot
from optionstream.streams.core.chains.analyse import ExpiryChains
from optionstream.streams.core.indicators import NO_INDICATORS, Indicators
from optionstream.streams.core.rules import Rules


class ChainAnalyser:
    """Snapshots of any products and expiries, one after the other, each known at its receipt.

    Nothing is refused as a repetition: what the stream would drop is flagged or shown again.
    """

    def __init__(self, rules: Rules, indicators: Indicators = NO_INDICATORS) -> None:
        self._rules = rules
        self._indicators = indicators
        self._expiries: dict[tuple[str, str], ExpiryChains] = {}

    def analyse(self, chain: ChainSnapshot) -> ChainAnalytics:
        """The analytics of the next snapshot."""
        chains = self._expiries.setdefault((chain.product, chain.expiry), ExpiryChains())
        return chains.analyse(chain, self._rules, chain.ts_recv, self._indicators)
