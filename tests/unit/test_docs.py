"""The documentation holds together: links, names and the worked examples of docs/figures.

An example is a block of lines ``part = part = … = value``. A part is the name of what the code
computes from docs/figures/example.jsonl, or arithmetic; each must give the value, to its digits.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from math import exp, log, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final

import msgspec
import pytest

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.schemas.derived import (
    INTERVALS,
    Bar,
    ChainAnalytics,
    Gap,
    Greeks,
    IvMode,
    Smile,
    VolatilitySurface,
)
from optionstream.schemas.documents import bar_document, gap_document
from optionstream.schemas.events import (
    ChainSnapshot,
    Heartbeat,
    Legs,
    OptionQuoteFrame,
    TickFrame,
)
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import partition_for
from optionstream.streams.core.chains import figures
from optionstream.streams.core.chains.analyse import ChainAnalyser, ExpiryChains
from optionstream.streams.core.chains.record import flags
from optionstream.streams.core.counts import Counts
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.pricing import parity
from optionstream.streams.core.pricing.implied import REASONS
from optionstream.streams.core.quotes.assembly import ExpiryQuotes
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.surface import grid, smile
from optionstream.streams.core.surface.surfaces import ProductSurfaces
from optionstream.streams.core.ticks import bars
from optionstream.streams.core.ticks.columns import columns_of
from optionstream.streams.core.ticks.product import ProductTicks

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
README: Final = ROOT / "README.md"
PAGES: Final = [README, *sorted(DOCS.rglob("*.md"))]
LISTS: Final = [ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
FIGURES: Final = sorted(set((DOCS / "figures").glob("*.md")) - {DOCS / "figures" / "README.md"})
EXAMPLE: Final = DOCS / "figures" / "example.jsonl"

_CODE = re.compile(r"^```.*?^```|^ {4}.*?$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


# -- links ----------------------------------------------------------------------------------------


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """File or folder, and anchor, of each relative link of a page."""
    for target in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield ((page.parent / path).resolve() if path else page), anchor


@pytest.mark.parametrize("page", [*PAGES, *LISTS], ids=name_of)
def test_no_line_is_longer_than_120_characters_but_for_one_long_name(page: Path) -> None:
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), start=1)
    long = [(number, line) for number, line in lines if len(line) > 120]
    assert [number for number, line in long if len(line.split()[-1]) < 100] == []


def test_every_setting_is_described() -> None:
    rows = (DOCS / "settings.md").read_text(encoding="utf-8")
    names = {field.name.upper() for field in dataclasses.fields(Settings)}
    assert {name for name in names if f"`{name}`" not in rows} == set()


def test_every_decision_has_a_status_and_a_date() -> None:
    pages = sorted((DOCS / "adr").glob("0*.md"))
    status = re.compile(r"^Status: (accepted|superseded by .*), \d{4}-\d\d-\d\d", re.MULTILINE)
    assert pages
    assert [name_of(page) for page in pages if not status.search(page.read_text("utf-8"))] == []


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    found: set[str] = set()
    for heading in _HEADING.findall(page.read_text(encoding="utf-8")):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        at = 0
        while (slug := f"{plain}-{at}" if at else plain) in found:
            at += 1
        found.add(slug)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    broken = [
        f"{path}#{anchor}"
        for path, anchor in links(page)
        if not path.exists() or (anchor and anchor not in anchors(path))
    ]
    assert not broken


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, ahead = set(), [README]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        if page.is_dir():  # a link to a folder shows its index, or else the list of its pages
            index = page / "README.md"
            ahead += [index] if index.exists() else page.glob("*.md")
        elif page.suffix == ".md" and page.exists():
            ahead += [path for path, _ in links(page)]
        reached.add(page)
    assert [name_of(page) for page in PAGES if page not in reached] == []


# -- names ----------------------------------------------------------------------------------------


def reasons(module: object) -> set[str]:
    """The texts of a module's constants."""
    return {text for name, text in vars(module).items() if name.isupper() and type(text) is str}


def flag_names() -> set[str]:
    """The keys of the table that ``flags`` makes."""
    tree = ast.parse(inspect.getsource(flags))
    table = next(node for node in ast.walk(tree) if isinstance(node, ast.Dict))
    return {str(ast.literal_eval(key)) for key in table.keys if key is not None}


def undocumented(names: set[str], pages: list[Path]) -> list[str]:
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    return sorted(name for name in names if not re.search(rf"`([\w\[\]]+\.)?{name}`", text))


def test_every_quality_flag_has_a_row_and_every_row_is_a_flag() -> None:
    page = (DOCS / "figures" / "flags.md").read_text(encoding="utf-8")
    table = page.partition("\n## Formula")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == sorted(flag_names())


def test_every_reason_of_a_null_is_explained() -> None:
    names = set().union(*(reasons(module) for module in (figures, parity, bars, smile, grid)))
    names |= {name for name in REASONS if name}
    assert undocumented(names, [*FIGURES, DOCS / "semantics.md", DOCS / "pricing.md"]) == []


@pytest.mark.parametrize("kind", [ChainAnalytics, Legs, Greeks, VolatilitySurface, Smile, Bar, Gap])
def test_every_field_of_a_figure_is_explained(kind: type[msgspec.Struct]) -> None:
    pages = [DOCS / "figures" / "README.md", *FIGURES, DOCS / "indicators.md"]
    assert undocumented(set(kind.__struct_fields__), pages) == []


def test_the_index_lists_every_figure() -> None:
    assert {path for path, _ in links(DOCS / "figures" / "README.md")} >= set(FIGURES)


def test_the_table_of_partitions_is_what_the_code_computes() -> None:
    page = (DOCS / "runbooks" / "scale-out.md").read_text(encoding="utf-8")
    head, _, *rows = re.findall(r"^\|(.*)\|$", page.partition("## How far")[2], re.MULTILINE)
    _, *products, _ = [cell.strip() for cell in head.split("|")]
    assert len(products) == 6
    assert len(rows) > 5
    for row in rows:
        count, *shown, at_work = [int(cell.strip(" *")) for cell in row.split("|")]
        assert shown == [partition_for(product, count) for product in products]
        assert at_work == len(set(shown))


# -- traps and their tests ------------------------------------------------------------------------


def items_of(page: Path, heading: str) -> dict[str, str]:
    """Return what follows the number of each item of a section's numbered list."""
    section = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    items = re.findall(r"^(\d+)\. (.*(?:\n {3,}.*)*)", section.partition("\n## ")[0], re.MULTILINE)
    return dict(items)


@cache
def functions_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_trap_has_a_test_that_exists() -> None:
    page = DOCS / "adr" / "0003-faust-traps.md"
    traps, tested = items_of(page, "Decision"), items_of(page, "What fails when one comes back")
    assert len(traps) > 20
    assert list(tested) == list(traps)
    missing = []
    for number, row in tested.items():
        named = re.findall(r"`([\w/.]+)::(test_\w+)`", row)
        assert named, f"trap {number} has no test"
        missing += [
            f"{file}::{name}"
            for file, name in named
            if not (ROOT / "tests" / file).exists()
            or name not in functions_of(ROOT / "tests" / file)
        ]
    assert not missing


# -- worked examples ------------------------------------------------------------------------------

_FORMULA: Final[dict[str, Any]] = {
    "__builtins__": {},
    "N": NormalDist().cdf,
    "n": NormalDist().pdf,
    "exp": exp,
    "ln": log,
    "sqrt": sqrt,
    "max": max,
    "min": min,
}
"""What arithmetic may use: N is the normal distribution, n its density."""
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")


@cache
def example() -> dict[str, Any]:
    """What the code makes of the example file; ``bars`` and ``gaps`` in the order they are told."""
    feed = open_feed(EXAMPLE, FeedHints())
    events = list(feed.events())
    assert not feed.problems
    ticks = ProductTicks("NIFTY", Rules(nse_calendar()))
    outcomes = [
        ticks.apply_heartbeat(event.ts_event, event.ts_recv)
        if isinstance(event, Heartbeat)
        else ticks.apply_ticks(columns_of(event))
        for event in events
        if isinstance(event, TickFrame | Heartbeat)
    ]
    outcomes.append(ticks.close_session())
    told = [bar for outcome in outcomes for bar in outcome.bars]
    chains = [event for event in events if isinstance(event, ChainSnapshot)]
    quotes = [event for event in events if isinstance(event, OptionQuoteFrame)]
    return {
        "bars": {
            name: [bar_document(bar) for bar in told if bar.interval == name] for name in INTERVALS
        },
        "gaps": [gap_document(gap) for outcome in outcomes for gap in outcome.gaps],
        "chains": analysed(chains, "black76"),
        "nse": analysed(chains, "nse"),
        "assembled": assembled(quotes),
        "november": analysed(chains, "black76", "2025-11-25"),
        "surfaces": surfaces(chains),
    }


def analysed(
    chains: list[ChainSnapshot], mode: IvMode, expiry: str = "2025-10-28"
) -> list[dict[str, Any]]:
    analyser = ChainAnalyser(Rules(nse_calendar(), iv_mode=mode))
    return [
        msgspec.to_builtins(analyser.analyse(chain)) for chain in chains if chain.expiry == expiry
    ]


def surfaces(chains: list[ChainSnapshot]) -> list[dict[str, Any]]:
    """In the order told."""
    analyser, product = ChainAnalyser(Rules(nse_calendar())), ProductSurfaces()
    return [
        msgspec.to_builtins(surface)
        for chain in chains
        for surface in product.add_chain(analyser.analyse(chain))
    ]


def assembled(frames: list[OptionQuoteFrame]) -> list[dict[str, Any]]:
    rules = Rules(nse_calendar())
    quotes = ExpiryQuotes("NIFTY", frames[0].expiry, rules, Counts())
    memory = ExpiryChains()
    return [
        msgspec.to_builtins(
            memory.analyse(made.chain, rules, made.chain.ts_recv, oldest_leg_ms=made.oldest_leg_ms)
        )
        for offset, frame in enumerate(frames)
        for made in quotes.apply_frame(frame, offset).chains
    ]


def examples(page: Path) -> list[str]:
    """The lines of a page's examples; one that is indented further goes on with the one above."""
    section = page.read_text(encoding="utf-8").partition("\n## Example")[2].partition("\n## ")[0]
    lines = re.sub(r"\n {5,}", " ", section).splitlines()
    return [line.strip() for line in lines if line.startswith("    ")]


def computed(part: str) -> Any:
    """What a part of a line stands for."""
    if not re.match(r"[a-z]+[.\[]", part):
        return eval(_THOUSANDS.sub("", part), dict(_FORMULA))
    value: Any = example()
    for step in re.findall(r"\w+", part):
        value = value[int(step) if isinstance(value, list) else step]
    return value.isoformat() if isinstance(value, datetime) else value


def is_shown(value: Any, text: str) -> bool:
    """Whether a value, rounded as the text is, reads like it."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        plain = _THOUSANDS.sub("", text)
        return f"{value:.{len(plain.partition('.')[2])}f}" == plain
    return bool(value == json.loads(text))


@pytest.mark.parametrize("page", FIGURES, ids=name_of)
def test_the_examples_are_what_the_code_computes(page: Path) -> None:
    lines = examples(page)
    wrong = []
    for line in lines:
        *parts, shown = line.split(" = ")
        assert parts, f"no value in {line!r}"
        wrong += [
            f"{part} is {value}, not {shown}"
            for part in parts
            if not is_shown(value := computed(part), shown)
        ]
    assert lines
    assert not wrong
