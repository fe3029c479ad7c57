"""Examples of answers for OpenAPI, from a real session (examples.json, schemas.figures).

The chain is NIFTY's of 2025-11-17 13:27:22 IST, with two of its 89 strikes.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec

from optionstream.schemas.documents import pcr_of_chain
from optionstream.schemas.figures import METADATA, SNAPSHOT

_STORED: dict[str, Any] = msgspec.json.decode(
    files(__package__).joinpath("examples.json").read_bytes()
)

UNDERLYING: dict[str, Any] = _STORED["underlying"]
CHAIN: dict[str, Any] = {
    **_STORED["chain"],
    **{row.name: row.example for row in SNAPSHOT},
    "metadata": {row.document_name: row.example for row in METADATA},
}
PCR = pcr_of_chain(CHAIN)
SURFACE: dict[str, Any] = _STORED["surface"]
EXPIRIES: dict[str, Any] = _STORED["expiries"]
PRODUCTS: dict[str, Any] = _STORED["products"]
GAPS: dict[str, Any] = _STORED["gaps"]
BARS: dict[str, Any] = _STORED["bars"]
REPLAY: dict[str, Any] = _STORED["replay"]
REPLAYS: dict[str, Any] = {"replays": [REPLAY]}
REPLAY_ANSWER: dict[str, Any] = _STORED["replay_answer"]
