"""Gaps recomputed against those told, in Kafka and MongoDB, every revision of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from optionstream.deploy.verify.differences import DIFFERENT, MISSING, SURPLUS, Differences
from optionstream.deploy.verify.gaps.facts import GapFacts


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
