"""What was found to differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

MISSING = "missing"
SURPLUS = "surplus"
DIFFERENT = "different"
MISPLACED = "misplaced"
UNREADABLE = "unreadable"

MOST_LISTED = 1_000
"""Differences listed of one kind and place; all are counted."""


@dataclass(frozen=True, slots=True)
class Difference:
    """``kind`` is one of this module's constants, ``where`` names topic, collection or key."""

    kind: str
    where: str
    id: str
    expected: Any = None
    actual: Any = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Differences:
    """All differences counted, the first thousand of each kind and place listed."""

    def __init__(self) -> None:
        self.listed: list[Difference] = []
        self.totals: Counter[tuple[str, str]] = Counter()
        self._listed: Counter[tuple[str, str]] = Counter()

    def add(
        self, kind: str, where: str, id_: str, expected: Any = None, actual: Any = None
    ) -> None:
        place = (where, kind)
        self.totals[place] += 1
        if self._listed[place] < MOST_LISTED:
            self._listed[place] += 1
            self.listed.append(Difference(kind, where, id_, expected, actual))

    def add_many(self, kind: str, where: str, count: int) -> None:
        """Count differences without listing them."""
        if count > 0:
            self.totals[where, kind] += count
