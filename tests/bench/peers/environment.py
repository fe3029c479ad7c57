"""The peers' own virtualenv, ``.venv-peers``: quixstreams needs an older confluent-kafka than ours.

``python -m tests.bench.peers.environment`` makes it ahead of the benchmark.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / ".venv-peers"
REQUIREMENTS = Path(__file__).with_name("peers.txt")
_STAMP = FOLDER / ".installed"


def peer_python() -> Path:
    """The interpreter of the peers; their environment is made or brought up to date first."""
    python = FOLDER / "bin" / "python"
    if not _STAMP.exists() or _STAMP.stat().st_mtime < REQUIREMENTS.stat().st_mtime:
        print(f"installing the peers into {FOLDER.name} (once)", file=sys.stderr)
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pip += ["--no-deps", "--require-hashes", "-r", str(REQUIREMENTS)]
        subprocess.run(pip, check=True)
        _STAMP.touch()
    return python


if __name__ == "__main__":
    print(peer_python())
