"""``tests.bench.audit``: what it builds is an archive, and what it flips is found."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.bench.audit import Audit, audit, flip, results, told


def test_an_archive_is_built_looked_through_and_its_flipped_byte_found(tmp_path: Path) -> None:
    found = audit(tmp_path, 30, 1)

    assert found.records == 30_000
    assert found.files > 6
    assert 30_000_000 < found.bytes < 33_000_000
    assert found.peak_bytes > 20_000_000
    assert found.flipped.startswith("byte ")
    assert f"{found.files:,} files" in told(found)


def test_an_archive_that_is_not_intact_is_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.bench.audit.flip", lambda path, rng: 0)
    with pytest.raises(RuntimeError, match="was flipped, audit verify found"):
        audit(tmp_path, 1, 1)


def test_exactly_one_bit_of_the_file_is_flipped(tmp_path: Path) -> None:
    path, rng = tmp_path / "x", random.Random(3)
    path.write_bytes(bytes(1_000))
    at = flip(path, rng)
    body = path.read_bytes()
    assert body[at].bit_count() == 1
    assert sum(body) == body[at]


def test_time_is_held_against_hashing_and_memory_against_a_limit() -> None:
    found = Audit(10**9, 250, 10**6, 1.0, [12.0, 2.0, 6.0], [1.0], 10**9)
    time, peak = results(found)

    assert (time.ours, time.beside, time.held) == (6.0, 1.0, True)
    assert not peak.held
    assert "1,000 MB" in time.name
