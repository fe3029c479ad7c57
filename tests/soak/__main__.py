"""``python -m tests.soak [PART ...] [-- ARGUMENT ...]``: lists the parts, or runs some or ``all``.

Arguments after ``--`` go to the part's own command. Exit code 1 if a part failed, 2 for a part that
there is not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.conftest import ROOT
from tests.harness.seeds import WHOLE_VARIABLE, again, choose_seed
from tests.soak.parts import PARTS, Part, part_named

console = Console(width=120)


def main(words: Sequence[str]) -> int:
    """Run what ``words`` name; return the exit code."""
    names, more = list(words), []
    if "--" in names:
        at = names.index("--")
        names, more = names[:at], names[at + 1 :]
    if not names:
        _list()
        return 0
    try:
        parts = PARTS if names == ["all"] else [part_named(name) for name in names]
    except KeyError as unknown:
        print(f"no part {unknown} of the soak; there are: all, {_names()}", file=sys.stderr)
        return 2
    console.print(again(choose_seed(os.environ)))
    failed = [part.name for part in parts if not _succeeds(part, more)]
    if failed:
        console.print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _succeeds(part: Part, more: Sequence[str]) -> bool:
    began_s = time.monotonic()
    env = dict(os.environ) | {WHOLE_VARIABLE: "1"}
    command = [sys.executable, "-m", *part.arguments, *more]
    ran = subprocess.run(command, env=env, cwd=ROOT, check=False)
    result = "passed" if ran.returncode == 0 else f"exit code {ran.returncode}"
    console.print(f"{part.name}: {result} in {(time.monotonic() - began_s) / 60:.1f} min")
    return ran.returncode == 0


def _list() -> None:
    table = Table(title="make soak PART=…")
    table.add_column("part")
    table.add_column("proves")
    table.add_column("minutes", justify="right")
    for part in PARTS:
        table.add_row(part.name, part.proves, str(part.minutes))
    console.print(table)


def _names() -> str:
    return ", ".join(part.name for part in PARTS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
