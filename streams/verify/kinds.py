"""The kinds of results: where each is found, how it is read and how it is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, NamedTuple

from msgspec.structs import asdict

from optionstream.schemas import documents, topics
from optionstream.schemas.derived import Bar, ChainAnalytics, Gap, Reject, VolatilitySurface
from optionstream.schemas.documents import Document
from optionstream.streams.verify.chains import facts as chain_facts
from optionstream.streams.verify.chains.judge import CHAINS as CHAIN_JUDGE
from optionstream.streams.verify.compare import Facts, Judge, fields_apart, instant
from optionstream.streams.verify.gaps.facts import GAPS as GAP_JUDGE
from optionstream.streams.verify.gaps.facts import read_gap
from optionstream.streams.verify.reject_parts import joined, read_reject, reject_apart
from optionstream.streams.verify.surface import facts as surface_facts
from optionstream.streams.verify.ticks.window_book import BAR_COLUMNS

BAR_KEY: Final = ("product", "interval", "start", "revision")


class Reading(NamedTuple):
    """Makes the same facts of an output record and of a document.

    ``of_document`` raises what ``BROKEN`` lists for one of another shape.
    """

    of_record: Callable[[Any], Any]
    of_document: Callable[[Document], Any]


@dataclass(frozen=True)
class Kind:
    """One kind of results; ``name`` is its name in reports.

    ``sources`` are the input topics to whose partition a record goes out; none: it is not checked.
    Facts are compared under ``id_of``; where ``join`` is given, what it makes of all of one id.
    """

    name: str
    record: type
    topic: str
    collection: str
    sources: tuple[str, ...]
    read: Reading
    id_of: Callable[[Any], str]
    judge: Judge[Any, Any]
    join: Callable[[Sequence[Any]], Any] | None = None
    stored_id: Callable[[Any], str] | None = None
    """The id of the document, if it is another."""


def read_bar(values: Mapping[str, Any], time: Callable[[Any], int]) -> Facts:
    """Return a bar in BAR_COLUMNS; ``time`` reads its instants.

    Raises what ``BROKEN`` lists for values that are no bar's.
    """
    row = {name: values[name] for name in BAR_COLUMNS}
    return {**row, "start": time(row["start"]), "end": time(row["end"])}


def bar_id(row: Mapping[str, Any]) -> str:
    """Return the id of the bar in a row of BAR_COLUMNS."""
    return "|".join(str(row[name]) for name in BAR_KEY)


def _fields(read: Callable[[Mapping[str, Any], Callable[[Any], int]], Any]) -> Reading:
    """Return the reading of a kind whose documents have the fields of its records."""
    return Reading(
        lambda record: read(asdict(record), int), lambda document: read(document, instant)
    )


_TICKS, _OPTIONS = (topics.UNDERLYING,), (topics.OPTION_CHAIN, topics.OPTION_QUOTE)
_id = attrgetter("id")
_CHAIN = Reading(chain_facts.facts_of_record, chain_facts.facts_of_document)
_SURFACE = Reading(surface_facts.facts_of_surface, surface_facts.facts_of_document)

BARS: Final = Kind(
    "bars", Bar, topics.OHLC, documents.BARS, _TICKS, _fields(read_bar), bar_id, Judge(fields_apart)
)
GAPS: Final = Kind(
    "gaps", Gap, topics.GAPS, documents.GAPS, _TICKS, _fields(read_gap), _id, GAP_JUDGE
)
CHAINS: Final = Kind(
    "chains", ChainAnalytics, topics.CHAIN, documents.CHAINS, _OPTIONS, _CHAIN, _id, CHAIN_JUDGE
)
SURFACES: Final = Kind(
    *("surfaces", VolatilitySurface, topics.SURFACE, documents.SURFACES, _OPTIONS),
    *(_SURFACE, surface_facts.id_of, surface_facts.SURFACES),
)
REJECTS: Final = Kind(
    *("rejects", Reject, topics.REJECTS, documents.REJECTS, (), _fields(read_reject)),
    *(attrgetter("record"), Judge(reject_apart), joined, _id),
)
KINDS: Final = (BARS, GAPS, CHAINS, SURFACES, REJECTS)
