"""Which of newly made rows say something new, and under which revision they are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from optionstream.schemas.files.feature_rows import (
    BarKey,
    Row,
    Version,
    bar_key,
    file_order,
    newest,
    version_of,
)


def merge(stored: Sequence[Row], made: Iterable[Row]) -> list[Row]:
    """The stored rows and what of ``made`` they do not tell yet, in the order of the files.

    A row enters when its version is above that of the newest row of its bar, as the next
    revision. So a row that is made again, by a restarted worker or by two of them, changes nothing,
    and one made from less than is known already comes to nothing.
    """
    held: dict[BarKey, tuple[int, Version]] = {
        bar_key(row): (row["revision"], version_of(row)) for row in newest(stored)
    }
    rows = list(stored)
    for row in made:
        key, version = bar_key(row), version_of(row)
        revision, known = held.get(key, (0, ()))
        if version > known:
            held[key] = revision + 1, version
            rows.append(row | {"revision": revision + 1})
    return sorted(rows, key=file_order)
