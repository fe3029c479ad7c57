"""Gaps recomputed against those told, in Kafka and MongoDB, every revision of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from optionstream.schemas.derived import Gap
from optionstream.streams.verify.chains.facts import instant
from optionstream.streams.verify.report import DIFFERENT, MISSING, SURPLUS, Differences

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


def compare_gaps(
    expected: Mapping[str, GapFacts],
    told: Iterable[GapFacts],
    where: str,
    differences: Differences,
) -> None:
    """``expected`` by id; ``told`` may repeat what is identical."""
    told = set(told)
    for facts in sorted(told, key=lambda one: one.id):
        wanted = expected.get(facts.id)
        if wanted is None:
            differences.add(SURPLUS, where, facts.id, None, facts._asdict())
        elif facts != wanted:
            _report_different(wanted, facts, where, differences)
    lacking = expected.keys() - {facts.id for facts in told}
    for id_ in sorted(lacking):
        differences.add(MISSING, where, id_, expected[id_]._asdict(), None)


def _report_different(
    wanted: GapFacts, told: GapFacts, where: str, differences: Differences
) -> None:
    both = zip(GapFacts._fields, wanted, told, strict=True)
    names = [name for name, one, other in both if one != other]
    expected = {name: getattr(wanted, name) for name in names}
    actual = {name: getattr(told, name) for name in names}
    differences.add(DIFFERENT, where, wanted.id, expected, actual)
