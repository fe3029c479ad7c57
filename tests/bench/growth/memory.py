"""A replay of a day through ``optionstream replay``, with every process of it watched."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from optionstream.deploy.groups.lag import GroupOffsets, Offsets
from optionstream.deploy.namespaces.topics import ensure_topics
from optionstream.deploy.stack import Addresses
from optionstream.deploy.workers.launch import worker_env
from optionstream.producers.feeds.session_file import header_for, write_session
from optionstream.schemas.events import TickFrame
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import GROUPS, UNDERLYING, Namespace
from tests.bench.inputs import PRODUCTS, records_of
from tests.bench.report import Result, at_most

FRAME_TICKS = 1_000
LIMIT_BYTES = 250_000_000
EARLY, LATE = 0.3, 0.9
MOST_GROWTH = 1.15
"""From the first 30 % of a process's own work to its last tenth: what allocators take and give
back is within it, three bytes kept for every tick of ten million are not."""
PUBLISHER = "replay"
_LOOK_S = 0.2
_LONGEST_S = 1_200.0
_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)


class Look(NamedTuple):
    """Share of its work that a process has done, and its resident bytes then."""

    done: float
    resident: int


@dataclass(slots=True)
class Process:
    """What was seen of one process of the replay."""

    name: str
    looks: list[Look] = field(default_factory=list)

    @property
    def most(self) -> int:
        """The most resident bytes at any look."""
        return max(look.resident for look in self.looks)

    @property
    def early(self) -> int | None:
        """Resident bytes when 30 % of the work was done; None when the work was over by the time
        of the next look."""
        look = next((one for one in self.looks if one.done >= EARLY), self.looks[-1])
        return look.resident if look.done < LATE else None

    @property
    def late(self) -> int:
        """The most resident bytes over the last tenth of the work, the last look included."""
        last = [look for look in self.looks if look.done >= LATE]
        return max(look.resident for look in (*last, self.looks[-1]))


def replay_watched(
    addresses: Addresses, namespace: Namespace, settings: Settings, folder: Path, ticks: int
) -> list[Process]:
    """Write a session file of ``ticks``, replay it, and tell what was seen of each process."""
    path = folder / f"{namespace.name}.jsonl.zst"
    header = header_for(PRODUCTS, {"benchmark": "growth"})
    frames = (one for one in records_of(ticks, FRAME_TICKS) if isinstance(one, TickFrame))
    records = write_session(path, header, frames)
    ensure_topics(addresses.kafka, namespace, settings)
    argv = [sys.executable, "-m", "optionstream", "replay", str(path), "--json"]
    argv += ["--namespace", namespace.name]
    log = folder / f"{namespace.name}.log"
    with log.open("wb") as out:
        replay = subprocess.Popen(argv, env=worker_env(addresses, settings), stdout=out, stderr=out)
    seen = {name: Process(name) for name in (PUBLISHER, *GROUPS)}
    try:
        _watch(replay, _Progress(addresses.kafka, namespace, records), seen)
    finally:
        replay.terminate()
        replay.wait(60)
        path.unlink()
    if replay.returncode:
        raise RuntimeError(f"the replay ended with {replay.returncode}: {log.read_text()[-500:]}")
    if unseen := [name for name, process in seen.items() if not process.looks]:
        raise RuntimeError(f"nobody saw {', '.join(unseen)} at work: give the replay more ticks")
    return list(seen.values())


def results(processes: list[Process], ticks: int) -> list[Result]:
    """Two lines for each process: the most it held, and how it grew where that was seen."""
    lines = []
    for one in processes:
        name = f"resident, {one.name}"
        lines.append(at_most(f"{name}, most in {ticks:,} ticks", "bytes", one.most, LIMIT_BYTES))
        if one.early is not None:
            grown = f"{name}, last tenth beside first 30 %"
            lines.append(at_most(grown, "bytes", one.late, one.early, MOST_GROWTH))
    return lines


def too_quick(processes: list[Process]) -> list[str]:
    """The processes whose growth nobody saw; more ticks would show it."""
    return [one.name for one in processes if one.early is None]


def _watch(replay: subprocess.Popen[bytes], progress: _Progress, seen: dict[str, Process]) -> None:
    deadline = time.monotonic() + _LONGEST_S
    while replay.poll() is None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the replay did not end within {_LONGEST_S:g} s")
        done = progress.done()
        for name, resident in _resident(replay.pid):
            if resident and done[name]:
                seen[name].looks.append(Look(done[name], resident))
        time.sleep(_LOOK_S)


def _resident(pid: int) -> Iterator[tuple[str, int]]:
    """The replay and its workers by name, with their resident bytes."""
    with suppress(*_GONE):
        replay = psutil.Process(pid)
        yield PUBLISHER, replay.memory_info().rss
        for child in replay.children(recursive=True):
            with suppress(*_GONE):
                argv = child.cmdline()
                if "worker" in argv:
                    yield argv[argv.index("worker") + 1], child.memory_info().rss


class _Progress:
    """How much of the input is published, and read by each group."""

    def __init__(self, kafka: str, namespace: Namespace, records: int) -> None:
        self._offsets = GroupOffsets(kafka, namespace)
        self._input = namespace.topic(UNDERLYING)
        self._records = records

    def done(self) -> dict[str, float]:
        """Shares by the name of the process."""
        shares = {PUBLISHER: self._share(self._offsets.ends([UNDERLYING]))}
        for group in GROUPS:
            shares[group] = self._share(self._offsets.committed(group))
        return shares

    def _share(self, found: Offsets) -> float:
        read = sum(offset for (topic, _), offset in found.items() if topic == self._input)
        return read / self._records


def document(processes: list[Process]) -> dict[str, list[list[float]]]:
    """The looks of every process, as JSON has it."""
    return {one.name: [list(look) for look in one.looks] for one in processes}
