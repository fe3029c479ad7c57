"""A gap reduced to what is compared: all but ``known_at``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from optionstream.deploy.verify.chains.facts import instant
from optionstream.schemas.derived import Gap

Missing = tuple[tuple[int, int], ...]


class GapFacts(NamedTuple):
    """One revision of a gap, see `Gap`."""

    product: str
    kind: Literal["sequence", "silence"]
    session: str
    source: str
    label: str
    first: int | None
    last: int | None
    missing: Missing
    start: int
    end: int
    revision: int
    filled: bool

    @property
    def id(self) -> str:
        at = self.start if self.first is None else self.first
        name = f"{self.product}|{self.session}|{self.kind}|{self.source}|{self.label}|{at}"
        return f"{name}|{self.revision}"


def facts_of_gap(gap: Gap) -> GapFacts:
    values = {name: getattr(gap, name) for name in GapFacts._fields}
    return GapFacts(**{**values, "missing": tuple(tuple(part) for part in gap.missing)})


def facts_of_gap_document(document: Mapping[str, Any]) -> GapFacts:
    """Raises KeyError, TypeError or ValueError for something that is no gap document."""
    values = {name: document[name] for name in GapFacts._fields}
    values["missing"] = tuple((first, last) for first, last in document["missing"])
    return GapFacts(**{**values, **{name: instant(document[name]) for name in ("start", "end")}})
