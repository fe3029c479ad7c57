"""What the import rules are for: one class, one module, under one name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]

TRAP = """
from optionstream.schemas.errors import RecordError
import schemas.errors

try:
    raise schemas.errors.RecordError("invalid", "made under another name")
except RecordError:
    print("caught")
except Exception as error:
    print(type(error).__module__)
"""

IMPORTS = "".join(
    f"import {name}\n" for name in ("api", "deploy", "producers", "schemas", "streams")
)


def test_a_top_level_import_makes_a_second_copy_of_each_class_that_except_misses() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAP], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "schemas.errors"


def test_ruff_refuses_every_top_level_import(tmp_path: Path) -> None:
    path = tmp_path / "stray.py"
    path.write_text(IMPORTS)
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"),
         "--select", "TID251", "--output-format", "concise", "--no-cache", str(path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.count("TID251") == 5


CORE = "optionstream.streams.core"
SCHEMAS = "optionstream.schemas"
VERIFY = "optionstream.streams.verify"
MAY_IMPORT = {
    CORE: (CORE, SCHEMAS),
    VERIFY: (VERIFY, SCHEMAS, f"{CORE}.market", "optionstream.streams.kafka"),
}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_it_may_also_of_rooms_that_are_new(room: str) -> None:
    graph = grimp.build_graph("optionstream", cache_dir=None)
    strays = {
        f"{module} imports {imported}"
        for module in {room, *graph.find_descendants(room)}
        for imported in graph.find_modules_directly_imported_by(module)
        if not any(imported == one or imported.startswith(f"{one}.") for one in MAY_IMPORT[room])
    }
    assert not strays


def test_no_module_of_the_engine_imports_in_a_circle_not_even_for_types() -> None:
    graph = grimp.build_graph("optionstream", cache_dir=None)
    engine = graph.find_descendants("optionstream.streams.engine")
    circles = {
        f"{module} and {imported}"
        for module in engine
        for imported in graph.find_modules_directly_imported_by(module) & engine
        if graph.chain_exists(importer=imported, imported=module)
    }
    assert not circles
