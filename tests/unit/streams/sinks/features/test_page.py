"""docs/features.md lists the columns as they are."""

from __future__ import annotations

import re
from pathlib import Path

from optionstream.schemas.files.feature_rows import BAR_NAMES, CHAIN_NAMES, CHAIN_REASONS, COLUMNS

PAGE = Path(__file__).resolve().parents[5] / "docs" / "features.md"
TYPES = {"string": "string", "int": "int64", "float": "float64"}


def test_the_page_has_every_column_with_type_unit_meaning_and_null() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("\n## Columns")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    listed = COLUMNS[: len(BAR_NAMES) + len(CHAIN_NAMES)]
    assert rows == [
        (
            column.name.removeprefix("near_"),
            TYPES[column.kind],
            column.unit or "–",
            column.meaning,
            (column.null or "never").replace("near_", ""),
        )
        for column in listed
    ]


def test_every_reason_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^- `(\w+)`: ", text.partition("\n## Columns")[0], re.MULTILINE) == list(
        CHAIN_REASONS
    )
