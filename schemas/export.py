"""The JSON Schemas of everything on the wire, as files: ``python -m optionstream.schemas.export``.

A consumer in another language reads them from ``schemas/json/<name>.v<version>.json``; a test
holds the files against the types.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from optionstream.schemas.codec import SCHEMAS

FOLDER = Path(__file__).parent / "json"


def json_schemas() -> dict[str, str]:
    """File name to content, one for each schema ever shipped."""
    files = {}
    for name, type_ in SCHEMAS.items():
        (reference,), definitions = msgspec.json.schema_components([type_])
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": f"optionstream {name}",
            **reference,
            "$defs": definitions,
        }
        text = json.dumps(schema, indent=1)
        files[name.replace(":", ".v") + ".json"] = text + "\n"
    return files


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in json_schemas().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
