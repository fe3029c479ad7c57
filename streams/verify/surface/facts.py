"""A surface reduced to what is compared: the same values from a record and from a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from optionstream.schemas.derived import VolatilitySurface
from optionstream.streams.verify.chains.facts import instant

Facts = dict[str, Any]
"""The fields of ``VolatilitySurface`` but ``known_at``, its smiles as dicts too."""

_GRID = ("tenors_days", "log_moneyness", "iv", "reason")
_COLUMNS = {"strikes": "strike", "log_moneyness": "log_moneyness", "iv": "iv"}
_OF_A_RUN = ("known_at", "_id")


def facts_of_surface(surface: VolatilitySurface) -> Facts:
    """The facts that an output record tells."""
    told: Facts = msgspec.to_builtins(surface)
    del told["known_at"]
    return told


def facts_of_document(document: Mapping[str, Any]) -> Facts:
    """The facts that a document (MongoDB, Redis) tells. Raises KeyError, TypeError or ValueError
    for something that is no surface document."""
    told = {name: value for name, value in document.items() if name not in _OF_A_RUN}
    grid = told.pop("grid")
    return {
        **{name: grid[name] for name in _GRID},
        "ts_event": instant(told.pop("timestamp")),
        "ts_recv": instant(told.pop("received")),
        "smiles": [_smile(one) for one in told.pop("smiles")],
        **told,
    }


def id_of(facts: Facts) -> str:
    """The id under which a surface goes out."""
    return "|".join(str(facts[name]) for name in ("product", "expiry", "snapshot_id", "number"))


def _smile(row: Mapping[str, Any]) -> Facts:
    told = dict(row)
    points = told.pop("points")
    columns = {name: [point[field] for point in points] for name, field in _COLUMNS.items()}
    return {"ts_event": instant(told.pop("timestamp")), **columns, **told}
