"""A surface reduced to what is compared: the same fields from a record and from a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from optionstream.schemas.derived import VolatilitySurface
from optionstream.streams.verify.compare import Facts, Judge, Wrong, agree, fields_apart, instant

CLOSE: Final = 1e-9
"""Difference that rounding may make, beside `Surface.rounding`: relative, and absolute, for
differences of volatilities may cancel."""

_GRID = ("tenors_days", "log_moneyness", "iv", "reason")
_COLUMNS = {"strikes": "strike", "log_moneyness": "log_moneyness", "iv": "iv"}
_SHOWN = ("ts_event", "number", "expiries_in_capture", "expiries_captured", "left_out", "flags")


class Surface(NamedTuple):
    """An expected surface: the fields of `VolatilitySurface` but ``known_at``.

    ``rounding`` is the part of a volatility that rounding may make.
    """

    facts: Facts
    rounding: float

    @property
    def version(self) -> tuple[int, int]:
        """Orders the surfaces of a product."""
        return self.facts["ts_event"], self.facts["number"]


def facts_of_surface(surface: VolatilitySurface) -> Facts:
    """Return the facts of an output record, its smiles as dicts too."""
    facts: Facts = msgspec.to_builtins(surface)
    del facts["known_at"]
    return facts


def facts_of_document(document: Mapping[str, Any]) -> Facts:
    """Return the facts of a document (MongoDB, Redis).

    Raises what ``BROKEN`` lists for one that is no surface's.
    """
    facts = {name: value for name, value in document.items() if name not in ("known_at", "_id")}
    grid = facts.pop("grid")
    return {
        **{name: grid[name] for name in _GRID},
        "ts_event": instant(facts.pop("timestamp")),
        "ts_recv": instant(facts.pop("received")),
        "smiles": [_smile(one) for one in facts.pop("smiles")],
        **facts,
    }


def id_of(facts: Facts) -> str:
    """Return the id under which a surface goes out."""
    return "|".join(str(facts[name]) for name in ("product", "expiry", "snapshot_id", "number"))


def surface_apart(wanted: Surface, found: Facts) -> Wrong:
    """Return the fields in which a surface found is wrong."""
    tolerance = CLOSE + wanted.rounding
    return fields_apart(
        wanted.facts, found, lambda _, mine, theirs: agree(mine, theirs, tolerance, tolerance)
    )


def _summary(facts: Facts) -> Facts:
    return {name: facts[name] for name in _SHOWN}


SURFACES = Judge[Surface, Facts](surface_apart, lambda one: _summary(one.facts), _summary)
"""How surfaces are compared, and shown without their volatilities."""


def _smile(row: Mapping[str, Any]) -> Facts:
    facts = dict(row)
    points = facts.pop("points")
    columns = {name: [point[field] for point in points] for name, field in _COLUMNS.items()}
    return {"ts_event": instant(facts.pop("timestamp")), **columns, **facts}
