"""Commands inside the test, which cost no process of their own: exit code, stdout, stderr."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from optionstream.deploy.cli.main import main


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def row(self) -> dict[str, Any]:
        """The one JSON line on stdout."""
        (found,) = self.rows
        return found

    @property
    def complaint(self) -> str:
        """The one line on stderr."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


def run(*args: object, env: Mapping[str, str] | None = None) -> Ran:
    """Run a command in this process, under another environment if one is given."""
    out, err = io.StringIO(), io.StringIO()
    other = patch.dict(os.environ, env, clear=True) if env is not None else nullcontext()
    with other, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(arg) for arg in args])
    return Ran(code, out.getvalue(), err.getvalue())
