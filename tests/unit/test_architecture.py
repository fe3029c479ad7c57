"""streams.core sees the schemas and itself, nothing else of ours."""

from __future__ import annotations

import grimp

CORE = "optionstream.streams.core"
ALLOWED = (CORE, "optionstream.schemas")


def test_the_core_imports_only_itself_and_the_schemas() -> None:
    graph = grimp.build_graph("optionstream", cache_dir=None)
    modules = {CORE, *graph.find_descendants(CORE)}
    strays = {
        f"{module} imports {imported}"
        for module in modules
        for imported in graph.find_modules_directly_imported_by(module)
        if not any(imported == a or imported.startswith(f"{a}.") for a in ALLOWED)
    }
    assert not strays
