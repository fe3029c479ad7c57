"""A gap reduced to what is compared: all but ``known_at``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from optionstream.streams.verify.compare import Judge, Wrong, fields_apart

Missing = tuple[tuple[int, int], ...]


class GapFacts(NamedTuple):
    """One revision of a gap, see `Gap`."""

    product: str
    kind: Literal["sequence", "silence"]
    session: str
    start: int
    end: int
    revision: int
    filled: bool
    source: str = ""
    label: str = ""
    first: int | None = None
    last: int | None = None
    missing: Missing = ()

    @property
    def id(self) -> str:
        at = self.start if self.first is None else self.first
        name = f"{self.product}|{self.session}|{self.kind}|{self.source}|{self.label}|{at}"
        return f"{name}|{self.revision}"


def read_gap(values: Mapping[str, Any], time: Callable[[Any], int]) -> GapFacts:
    """Return the facts of a record's or a document's values; ``time`` reads its instants.

    Raises what ``BROKEN`` lists for values that are no gap's.
    """
    facts = GapFacts(**{name: values[name] for name in GapFacts._fields})
    return facts._replace(
        missing=tuple((first, last) for first, last in facts.missing),
        start=time(facts.start),
        end=time(facts.end),
    )


def _apart(wanted: GapFacts, found: GapFacts) -> Wrong:
    return fields_apart(wanted._asdict(), found._asdict())


GAPS = Judge[GapFacts, GapFacts](_apart, GapFacts._asdict, GapFacts._asdict)
"""How gaps are compared."""
