"""The differences that a verification found, and its report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from optionstream.streams.verify.ledger import Counts

MISSING = "missing"
SURPLUS = "surplus"
DIFFERENT = "different"
MISPLACED = "misplaced"
UNREADABLE = "unreadable"

MOST_LISTED = 1_000
"""Differences listed of one kind and place; all are counted."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One result that is wrong: ``kind`` is one of this module's constants.

    ``where`` names the topic or the collection, or is ``redis`` or ``counts``.
    """

    kind: str
    where: str
    id: str
    expected: Any = None
    actual: Any = None

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON shows."""
        return asdict(self)


class Differences:
    """Counts all differences; lists the first ``most_listed`` of each kind and place."""

    def __init__(self, most_listed: int = MOST_LISTED) -> None:
        self._most_listed = most_listed
        self.listed: list[Difference] = []
        self.totals: Counter[tuple[str, str]] = Counter()
        self._listed: Counter[tuple[str, str]] = Counter()

    def add(
        self, kind: str, where: str, id_: str, expected: Any = None, actual: Any = None
    ) -> None:
        """Report one difference."""
        place = (where, kind)
        self.totals[place] += 1
        if self._listed[place] < self._most_listed:
            self._listed[place] += 1
            self.listed.append(Difference(kind, where, id_, expected, actual))

    def add_wrong(self, where: str, id_: str, wrong: Mapping[str, tuple[Any, Any]]) -> None:
        """Report the fields that are wrong, if any, with what was expected and found of each."""
        if wrong:
            self.add(DIFFERENT, where, id_, *sides(wrong))

    def add_many(self, kind: str, where: str, count: int) -> None:
        """Count differences without listing them."""
        if count > 0:
            self.totals[where, kind] += count

    def by_place(self) -> dict[str, int]:
        """Return how many there are by ``"<where>: <kind>"``."""
        return {f"{where}: {kind}": count for (where, kind), count in self.totals.items()}


def sides(wrong: Mapping[str, tuple[Any, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what was expected and what was found, of pairs by field."""
    pairs = wrong.items()
    return {name: mine for name, (mine, _) in pairs}, {name: theirs for name, (_, theirs) in pairs}


@dataclass
class Report:
    """What was compared and what differs.

    ``differences`` lists at most 1,000 of each kind and place; ``difference_totals`` counts all,
    by ``"<where>: <kind>"``. ``counts`` are the fates of the input events, also by topic.
    ``surplus_raw_ticks`` counts stored rows that no reader ever sees, which is no difference.
    """

    namespace: str
    differences: list[Difference] = field(default_factory=list)
    difference_totals: dict[str, int] = field(default_factory=dict)
    checked: dict[str, int] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    counts_by_topic: dict[str, Counts] = field(default_factory=dict)
    surplus_raw_ticks: int = 0

    @property
    def ok(self) -> bool:
        """True if nothing differs."""
        return not any(self.difference_totals.values())

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON shows."""
        return {
            "namespace": self.namespace,
            "ok": self.ok,
            "checked": self.checked,
            "counts": self.counts.to_dict(),
            "counts_by_topic": {
                topic: counts.to_dict() for topic, counts in self.counts_by_topic.items()
            },
            "surplus_raw_ticks": self.surplus_raw_ticks,
            "difference_totals": self.difference_totals,
            "differences": [difference.to_dict() for difference in self.differences],
        }

    def to_json(self) -> str:
        """Return one line of JSON."""
        return msgspec.json.encode(self.to_dict(), enc_hook=str).decode()
