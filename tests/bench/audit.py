"""``optionstream audit verify`` of a large archive: its time, its memory, and one flipped byte.

Beside it every file's SHA-256 alone, by a loop in Python.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from optionstream.schemas.files.audit_segment import ArchivedRecord
from optionstream.schemas.times import DAY_MS
from optionstream.schemas.topics import UNDERLYING
from optionstream.streams.sinks.audit.archive import Archive, Run
from optionstream.streams.sinks.audit.sink import cut
from tests.bench.inputs import FIRST_DAY
from tests.bench.report import Result, at_most

NAMESPACE = "bench-audit"
PEAK_LIMIT = 150_000_000
WITHIN = 6.0
_PARTITIONS = 6
_VALUE_BYTES = 1_000
_A_FLUSH = 12_000
_CHUNK = 1 << 20
_LOOK_S = 0.02


@dataclass(slots=True)
class Audit:
    """Of an archive of ``bytes`` in ``files``: seconds a turn, peak resident bytes, and what was
    found when a byte was flipped."""

    bytes: int
    files: int
    records: int
    built_s: float
    seconds: list[float] = field(default_factory=list)
    hashing_s: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    flipped: str = ""
    """The file, and which of its bytes."""
    flipped_s: float = 0.0

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self.bytes / median(self.seconds)


def audit(folder: Path, megabytes: int, rounds: int) -> Audit:
    """Build the archive, look through it, flip a byte, look again. RuntimeError when the intact
    archive is complained about, or the flipped byte is not found in its file and nowhere else."""
    place = folder / NAMESPACE
    began_s = time.perf_counter()
    records = build(place, megabytes * 1_000_000)
    files = sorted(place.rglob("*.parquet"))
    size = sum(path.stat().st_size for path in files)
    found = Audit(size, len(files), records, time.perf_counter() - began_s)
    for _ in range(rounds):
        found.hashing_s.append(_hashing_s(files))
        seconds, peak, verdict = _verified(place)
        found.seconds.append(seconds)
        found.peak_bytes = max(found.peak_bytes, peak)
        if not verdict["ok"] or (verdict["records"], verdict["bytes"]) != (records, size):
            raise RuntimeError(f"the archive as written is not intact: {verdict}")
    rng = random.Random()
    path = rng.choice(files)
    at = flip(path, rng)
    found.flipped_s, peak, verdict = _verified(place)
    found.peak_bytes = max(found.peak_bytes, peak)
    found.flipped = f"byte {at:,} of {path.relative_to(place)}"
    told = [(problem["kind"], problem["where"]) for problem in verdict["problems"]]
    if verdict["ok"] or told != [("changed", str(path.relative_to(place)))]:
        raise RuntimeError(f"{found.flipped} was flipped, audit verify found {told}")
    return found


def results(found: Audit) -> list[Result]:
    """Two lines: time beside hashing alone, and memory."""
    name = f"audit verify of {found.bytes / 1e6:,.0f} MB"
    seconds, hashing = median(found.seconds), median(found.hashing_s)
    return [
        at_most(f"{name}, SHA-256 of its files alone", "s", seconds, hashing, WITHIN),
        at_most(f"{name}, peak", "bytes", found.peak_bytes, PEAK_LIMIT),
    ]


def told(found: Audit) -> str:
    """A line for people."""
    return (
        f"audit verify: {found.bytes / 1e6:,.0f} MB in {found.files:,} files with "
        f"{found.records:,} records, {median(found.seconds):.1f} s ({found.rate / 1e6:,.0f} MB/s); "
        f"{found.flipped} was flipped, and found in {found.flipped_s:.1f} s"
    )


def build(folder: Path, size: int) -> int:
    """An archive of about ``size`` bytes by the sink's own writer; returns its records.

    Values are noise, which does not compress, so that files are as large as what is in them.
    """
    archive = Archive(folder, NAMESPACE)
    archive.open()
    records = 0
    for flush in _flushes(size // _VALUE_BYTES):
        archive.write([Run("bench", _PARTITIONS, part) for part in cut(flush)])
        records += len(flush)
    archive.close()
    return records


def _flushes(count: int) -> Iterator[list[ArchivedRecord]]:
    """Of one partition after the other; all stamps are of a session's length."""
    noise, ends = random.Random(count), [0] * _PARTITIONS
    left, turn = count, 0
    while left > 0:
        many, partition = min(left, _A_FLUSH), turn % _PARTITIONS
        first = ends[partition]
        yield [
            _record(partition, offset, noise.randbytes(_VALUE_BYTES), count)
            for offset in range(first, first + many)
        ]
        ends[partition], left, turn = first + many, left - many, turn + 1


def _record(partition: int, offset: int, value: bytes, count: int) -> ArchivedRecord:
    stamp = FIRST_DAY.open_ms + offset * (DAY_MS // 4) // count
    return ArchivedRecord(
        topic=UNDERLYING,
        partition=partition,
        offset=offset,
        timestamp=stamp,
        timestamp_type="create",
        archived=stamp,
        key=b"NIFTY",
        headers=[("schema", b"tick_frame:1")],
        value=value,
    )


def flip(path: Path, rng: random.Random) -> int:
    """Flip one bit of one byte of the file; returns which byte."""
    at = rng.randrange(path.stat().st_size)
    with path.open("r+b") as file:
        file.seek(at)
        (before,) = file.read(1)
        file.seek(at)
        file.write(bytes([before ^ 1 << rng.randrange(8)]))
    return at


def _hashing_s(files: list[Path]) -> float:
    began_s = time.perf_counter()
    for path in files:
        digest = sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return time.perf_counter() - began_s


def _verified(folder: Path) -> tuple[float, int, dict[str, Any]]:
    """Seconds of the command, the peak of its resident bytes, and what it says."""
    argv = [sys.executable, "-m", "optionstream", "audit", "verify", str(folder), "--json"]
    began_s = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, _high_water_bytes(process.pid))
            time.sleep(_LOOK_S)
        seconds = time.perf_counter() - began_s
        assert process.stdout is not None
        said = process.stdout.read()
    if process.returncode not in (0, 1):
        raise RuntimeError(f"audit verify ended with {process.returncode}")
    return seconds, peak, msgspec.json.decode(said)


def _high_water_bytes(pid: int) -> int:
    """The most resident bytes that the program has had; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
