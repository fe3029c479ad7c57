"""The table of figures: complete, true of what the core computes, and printed in the docs."""

from __future__ import annotations

import random
import re
from pathlib import Path

from optionstream.schemas import figures
from optionstream.schemas.derived import ChainAnalytics
from optionstream.streams.core.chains.analyse import ChainAnalyser
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.rules import Rules
from tests.unit.streams.wild_chains import WildChains

PAGE = Path(__file__).resolve().parents[3] / "docs" / "figures" / "README.md"
IDENTITY = {
    *("product", "expiry", "source", "snapshot_id", "ts_event", "ts_recv", "known_at"),
    *("strikes", "calls", "puts", "call_greeks", "put_greeks"),
}
"""Fields of a chain that are no figures: what it is of, and its legs."""


def test_every_figure_of_a_chain_has_one_row() -> None:
    rows = (*figures.SNAPSHOT, *figures.METADATA)
    assert len(rows) == len(figures.FIGURES)
    assert set(figures.FIGURES) == set(ChainAnalytics.__struct_fields__) - IDENTITY


def test_a_figure_has_reasons_exactly_when_it_can_be_null_with_one() -> None:
    optional = {
        row.name for row in figures.FIGURES.values() if type(None) in _parts(row.annotation)
    }
    explained = {row.name for row in figures.FIGURES.values() if row.reasons}
    assert optional - explained == {"underlying_price", "oldest_leg_ms"}
    assert explained <= optional


def test_the_core_gives_no_other_reason_and_each_of_many_chains_its_own() -> None:
    seen: set[tuple[str, str]] = set()
    for seed in range(150):
        world = WildChains(random.Random(seed))
        analyser = ChainAnalyser(Rules(nse_calendar()), {})
        for _ in range(6):
            seen |= set(analyser.analyse(world.next()).null_reasons.items())
    listed = {(row.name, why) for row in figures.FIGURES.values() for why in row.reasons}
    assert seen <= listed
    assert {name for name, _ in listed} == {name for name, _ in seen}


def test_the_page_has_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("\n## Figures of a chain\n")[2]
    text = text.partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    assert rows == [
        (
            row.name,
            row.meaning,
            row.unit or "–",
            ", ".join(row.reasons) or "–",
        )
        for row in figures.FIGURES.values()
    ]


def _parts(annotation: object) -> tuple[object, ...]:
    return getattr(annotation, "__args__", ())
