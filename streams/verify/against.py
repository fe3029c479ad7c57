"""Two namespaces side by side: whether they hold the same results.

Every field is compared but partition, offset, index in a frame, namespace and ``known_at``. Left
out besides are bars of open windows (views of the moment), the user's own indicators, and how
rejects are packed: of them the number of events by topic and reason counts, because one reject is
of one record.

Each place is read once into digests by id; only what differs is read again, to be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import msgspec
import polars as pl

from optionstream.streams.verify.compare import fields_apart
from optionstream.streams.verify.places import Place, Row, Rows, tick_counts
from optionstream.streams.verify.report import (
    DIFFERENT,
    MISSING,
    SURPLUS,
    Difference,
    Differences,
    sides,
)

Progress = Callable[[str], None]
"""Called with the place that is being compared."""

_SHOWN: Final = 20
"""Differences listed of one kind and place."""
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass
class Comparison:
    """What two namespaces do not have in common.

    A difference's ``expected`` is what the other namespace (``against``) has, ``actual`` what
    ``namespace`` has; of a value that differs, only the fields that do.
    """

    namespace: str
    against: str
    compared: dict[str, int] = field(default_factory=dict)
    """By place: how many values of ``namespace`` were compared."""
    differences: list[Difference] = field(default_factory=list)
    difference_totals: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True if nothing differs."""
        return not any(self.difference_totals.values())

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON shows."""
        return {
            "namespace": self.namespace,
            "against": self.against,
            "ok": self.ok,
            "compared": self.compared,
            "difference_totals": self.difference_totals,
            "differences": [difference.to_dict() for difference in self.differences],
        }


def compare_places(mine: list[Place], others: list[Place], progress: Progress) -> Comparison:
    """Compare the places of one namespace with those of another, which come in the same order."""
    found = Comparison(mine[0].namespace, others[0].namespace)
    differences = Differences(_SHOWN)
    for one, other in zip(mine, others, strict=True):
        progress(one.name)
        if one.rows is None or other.rows is None:
            found.compared[one.name] = _compare_ticks(one, other, differences)
        else:
            found.compared[one.name] = _compare(one.name, one.rows, other.rows, differences)
    found.differences = differences.listed
    found.difference_totals = dict(sorted(differences.by_place().items()))
    return found


def _compare(name: str, mine: Rows, others: Rows, differences: Differences) -> int:
    ours, theirs = _digests(mine()), _digests(others())
    wrong = sorted(id_ for id_ in ours.keys() | theirs if ours.get(id_) != theirs.get(id_))
    shown = [id_ for id_ in wrong if id_ in ours and id_ in theirs][:_SHOWN]
    actual, expected = _values(mine(), shown), _values(others(), shown)
    for id_ in wrong:
        kind = SURPLUS if id_ not in theirs else DIFFERENT if id_ in ours else MISSING
        apart = fields_apart(expected.get(id_, {}), actual.get(id_, {}))
        differences.add(kind, name, id_, *(sides(apart) if kind == DIFFERENT else ()))
    return len(ours)


def _digests(rows: Iterator[tuple[str, Row]]) -> dict[str, bytes]:
    """Return digests by id; those of several different values together, in order."""
    found: dict[str, bytes] = {}
    several: dict[str, set[bytes]] = {}
    for id_, row in rows:
        digest = blake2b(_encode(row), digest_size=16).digest()
        before = found.setdefault(id_, digest)
        if before != digest:
            several.setdefault(id_, {before}).add(digest)
    return found | {id_: b"".join(sorted(digests)) for id_, digests in several.items()}


def _values(rows: Iterator[tuple[str, Row]], ids: Collection[str]) -> dict[str, Row]:
    """Return the last value under each of these ids."""
    wanted = set(ids)
    return {id_: row for id_, row in rows if id_ in wanted} if wanted else {}


def _compare_ticks(one: Place, other: Place, differences: Differences) -> int:
    """Compare how often each tick is there; ticks have no id of their own."""
    ours, theirs = tick_counts(one), tick_counts(other)
    columns = [name for name in ours.columns if name != "count"]
    both = ours.join(theirs, on=columns, how="full", nulls_equal=True, coalesce=True).with_columns(
        pl.col("count", "count_right").fill_null(0)
    )
    wrong = both.filter(pl.col("count") != pl.col("count_right")).sort("product", "ts", "order")
    for *place, count, count_right in wrong.select(*columns, "count", "count_right").iter_rows():
        kind, id_ = SURPLUS if count > count_right else MISSING, "|".join(map(str, place))
        differences.add(kind, one.name, id_, {"count": count_right}, {"count": count})
    return int(ours["count"].sum() or 0)
