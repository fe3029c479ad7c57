"""Write the JSON Schemas of all records as files: ``python -m optionstream.schemas.export``.

A consumer in another language reads them from ``schemas/json/<name>.v<version>.json``; a test
compares the files with the types.
"""

from __future__ import annotations

import json
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec

from optionstream.schemas.codec import SCHEMAS

FOLDER = Path(__file__).parent / "json"


def json_schemas() -> dict[str, str]:
    """Return file names and contents, one for each schema ever shipped."""
    files = {}
    for name, type_ in SCHEMAS.items():
        (reference,), definitions = msgspec.json.schema_components([type_])
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": f"optionstream {name}",
            **reference,
            "$defs": definitions,
        }
        text = json.dumps(_cleaned(schema), indent=1)
        files[name.replace(":", ".v") + ".json"] = text + "\n"
    return files


def _cleaned(node: Any) -> Any:
    """Return the schema without the indentation of docstrings, as Python 3.13 does by itself."""
    if isinstance(node, dict):
        return {
            key: cleandoc(value)
            if key == "description" and isinstance(value, str)
            else _cleaned(value)
            for key, value in node.items()
        }
    return [_cleaned(one) for one in node] if isinstance(node, list) else node


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in json_schemas().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
