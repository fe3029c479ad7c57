"""Reduce a chain to the figures of a feature row, without its legs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from optionstream.schemas.derived import ChainAnalytics
from optionstream.schemas.files.feature_rows import CHAIN_NAMES, FIGURE_NAMES

_UNCHANGED = tuple(
    name for name in FIGURE_NAMES if name not in ("null_reasons", "flags", "resistance", "support")
)

Version = tuple[int, int, str]


class ChainFacts(Struct, frozen=True):
    """One snapshot as a row holds it. Times are UTC epoch ms.

    ``figures`` are the values of ``feature_rows.FIGURE_NAMES``, in that order.
    """

    product: str
    expiry: str
    snapshot_id: str
    ts_event: int
    ts_recv: int
    known_at: int
    figures: tuple[Any, ...]

    @property
    def version(self) -> Version:
        """Order the snapshots of one expiry, as ``ChainAnalytics.version`` does."""
        return self.ts_event, self.ts_recv, self.snapshot_id


def facts_of(chain: ChainAnalytics) -> ChainFacts:
    """Return the facts of a chain that rows are made from."""
    values: dict[str, Any] = {name: getattr(chain, name) for name in _UNCHANGED}
    values["null_reasons"] = _pairs(chain.null_reasons)
    values["flags"] = ",".join(chain.flags)
    values["resistance"] = chain.resistance[0] if chain.resistance else None
    values["support"] = chain.support[0] if chain.support else None
    return ChainFacts(
        product=chain.product,
        expiry=chain.expiry,
        snapshot_id=chain.snapshot_id,
        ts_event=chain.ts_event,
        ts_recv=chain.ts_recv,
        known_at=chain.known_at,
        figures=tuple(values[name] for name in FIGURE_NAMES),
    )


def chain_cells(
    rank: str, facts: ChainFacts | None, reason: str | None, end: int
) -> dict[str, Any]:
    """Return the columns of one expiry in a row that ends at ``end``, UTC epoch ms.

    With a ``reason`` the figures are null.
    """
    cells: dict[str, Any] = dict.fromkeys(CHAIN_NAMES)
    cells["reason"] = reason
    if facts is not None:
        cells["expiry"] = facts.expiry
        cells["snapshot_id"] = facts.snapshot_id
        cells["ts_event"] = facts.ts_event
        cells["ts_recv"] = facts.ts_recv
        cells["age_ms"] = end - facts.ts_event
        if reason is None:
            cells.update(zip(FIGURE_NAMES, facts.figures, strict=True))
    return {f"{rank}_{name}": value for name, value in cells.items()}


def _pairs(reasons: Mapping[str, str]) -> str:
    return ",".join(f"{name}:{reasons[name]}" for name in sorted(reasons))
