"""Where tests and what they share may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

TESTS = ROOT / "tests"
ROOMS = ("api", "deploy", "producers", "schemas", "streams")


def imported_modules(source: str) -> Iterator[str]:
    """Yield each module that a source imports, and each name that it imports from one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def is_test_module(name: str) -> bool:
    """True for tests.….test_…, and for what is in one."""
    first, *others = name.split(".")
    return first == "tests" and any(part.startswith("test_") for part in others)


def borrowed(path: Path) -> list[str]:
    """Return the test modules that a file imports from."""
    source = path.read_text(encoding="utf-8")
    return [name for name in imported_modules(source) if is_test_module(name)]


def test_nothing_imports_from_a_test_module() -> None:
    """Fixtures and helpers that two modules need are in tests/harness or in a support module."""
    found = {path: names for path in TESTS.rglob("*.py") if (names := borrowed(path))}
    assert found == {}


def test_an_import_from_a_test_module_would_be_found() -> None:
    source = "from tests.server import test_cli\nimport tests.unit.test_docs\nimport testcontainers"
    found = [name for name in imported_modules(source) if is_test_module(name)]
    assert found == ["tests.server.test_cli", "tests.unit.test_docs"]


def test_folders_of_unit_tests_are_those_of_the_source() -> None:
    unit = TESTS / "unit"
    found = [
        folder.relative_to(unit)
        for room in ROOMS
        for folder in (unit / room).rglob("*")
        if folder.is_dir() and any(folder.glob("test_*.py"))
    ]
    assert found
    assert [str(folder) for folder in found if not (ROOT / folder).is_dir()] == []


def test_every_folder_of_tests_is_a_package() -> None:
    """Modules of one name in two folders would otherwise hide one another."""
    folders = {path.parent for path in TESTS.rglob("test_*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []
