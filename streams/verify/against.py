"""Two namespaces side by side: whether they hold the same results.

Compared is the canonical projection: every field but partition, offset, index in a frame, namespace
and ``known_at``. Left out besides are bars of open windows (views of the moment), what the user's
own indicators say, and the packing of rejects: of them counts the number of events by topic and
reason, because one reject is of one record.

Each place is read once into digests by id; only what differs is read again, to be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain
from typing import Any, Final

import msgspec
import polars as pl

from optionstream.streams.verify.places import Place, Row, Rows, tick_counts
from optionstream.streams.verify.report import DIFFERENT, MISSING, SURPLUS, Difference, Differences

Progress = Callable[[str], None]
"""Told which place is being compared."""

_SHOWN_A_PLACE: Final = 20
_ABSENT: Final = "absent"
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
        return not any(self.difference_totals.values())

    def to_dict(self) -> dict[str, Any]:
        return {
            "namespace": self.namespace,
            "against": self.against,
            "ok": self.ok,
            "compared": self.compared,
            "difference_totals": self.difference_totals,
            "differences": [difference.to_dict() for difference in self.differences],
        }


def compare_places(mine: list[Place], others: list[Place], tell: Progress) -> Comparison:
    """Compare the places of one namespace with those of another, which come in the same order."""
    found = Comparison(mine[0].namespace, others[0].namespace)
    differences = Differences()
    for one, other in zip(mine, others, strict=True):
        tell(one.name)
        if one.rows is None or other.rows is None:
            found.compared[one.name] = _compare_ticks(one, other, differences)
        else:
            found.compared[one.name] = _compare(one.name, one.rows, other.rows, differences)
    found.differences = differences.listed
    found.difference_totals = {
        f"{where}: {kind}": n for (where, kind), n in sorted(differences.totals.items())
    }
    return found


def _compare(name: str, mine: Rows, others: Rows, differences: Differences) -> int:
    ours, theirs = _digests(mine()), _digests(others())
    wrong = sorted(id_ for id_ in ours.keys() | theirs if ours.get(id_) != theirs.get(id_))
    shown = wrong[:_SHOWN_A_PLACE]
    actual, expected = _values(mine(), shown), _values(others(), shown)
    for id_ in shown:
        kind = _kind(id_ in ours, id_ in theirs)
        told = _fields(expected.get(id_), actual.get(id_)) if kind == DIFFERENT else (None, None)
        differences.add(kind, name, id_, *told)
    for id_ in wrong[_SHOWN_A_PLACE:]:
        differences.add_many(_kind(id_ in ours, id_ in theirs), name, 1)
    return len(ours)


def _kind(in_ours: bool, in_theirs: bool) -> str:
    if in_ours and in_theirs:
        return DIFFERENT
    return SURPLUS if in_ours else MISSING


def _digests(rows: Iterator[tuple[str, Row]]) -> dict[str, bytes]:
    """By id; the digests of several different values together, in order."""
    found: dict[str, bytes] = {}
    several: dict[str, set[bytes]] = {}
    for id_, row in rows:
        digest = blake2b(_encode(row), digest_size=16).digest()
        before = found.setdefault(id_, digest)
        if before != digest:
            several.setdefault(id_, {before}).add(digest)
    return found | {id_: b"".join(sorted(digests)) for id_, digests in several.items()}


def _values(rows: Iterator[tuple[str, Row]], ids: Collection[str]) -> dict[str, Row]:
    """The last value under each of these ids."""
    wanted = set(ids)
    return {id_: row for id_, row in rows if id_ in wanted} if wanted else {}


def _fields(expected: Row | None, actual: Row | None) -> tuple[Row, Row]:
    """The fields in which two values differ."""
    theirs, ours = expected or {}, actual or {}
    names = [
        name
        for name in dict.fromkeys(chain(theirs, ours))
        if theirs.get(name, _ABSENT) != ours.get(name, _ABSENT)
    ]
    return (
        {name: theirs.get(name, _ABSENT) for name in names},
        {name: ours.get(name, _ABSENT) for name in names},
    )


def _compare_ticks(one: Place, other: Place, differences: Differences) -> int:
    """Ticks have no id of their own: how often each is there is compared."""
    ours, theirs = tick_counts(one), tick_counts(other)
    columns = [name for name in ours.columns if name != "count"]
    both = ours.join(theirs, on=columns, how="full", nulls_equal=True, coalesce=True).with_columns(
        pl.col("count", "count_right").fill_null(0)
    )
    wrong = both.filter(pl.col("count") != pl.col("count_right")).sort("product", "ts", "order")
    for row in wrong.head(_SHOWN_A_PLACE).iter_rows(named=True):
        counts = row["count"], row["count_right"]
        id_ = "|".join(str(row[name]) for name in columns)
        kind = SURPLUS if counts[0] > counts[1] else MISSING
        differences.add(kind, one.name, id_, {"count": counts[1]}, {"count": counts[0]})
    rest = wrong.slice(_SHOWN_A_PLACE)
    more = rest.filter(pl.col("count") > pl.col("count_right")).height
    differences.add_many(SURPLUS, one.name, more)
    differences.add_many(MISSING, one.name, rest.height - more)
    return int(ours["count"].sum() or 0)
