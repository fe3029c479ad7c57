"""What a replay tells: its progress while it runs, and what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optionstream.producers.kafka.settings import PublishStats
from optionstream.schemas.errors import InputError
from optionstream.schemas.replays import State

if TYPE_CHECKING:
    from optionstream.streams.analytics.counts import Counts


@dataclass(frozen=True, slots=True)
class Progress:
    """A running replay at one moment. Times of events are epoch ms."""

    state: State
    clock_ms: int | None
    speed: str | float
    records: int
    events: int
    rate: float
    """Events published a second, over the last seconds."""
    lag: dict[str, int | None]
    """Records that each group has yet to read; None when it cannot be told."""
    settled: bool
    """Nothing goes out before a command, and every group has read all that was published."""
    time_left_s: float | None
    time_left_reason: str | None

    def row(self) -> dict[str, Any]:
        """As it lies in the registry (schemas/replays.py)."""
        return asdict(self)


class Observer:
    """Told what happens; the command line draws its progress from it. Does nothing itself."""

    def files(self, count: int) -> None:
        """This many files will be published."""

    def file(self, path: Path) -> None:
        """A file's turn has come."""

    def bad(self, error: InputError) -> None:
        """A file, or rows of one, could not be used."""

    def moved(self, progress: Progress) -> None:
        """Called several times a second while the replay publishes."""

    def waiting(self, group: str, left: int) -> None:
        """A group has so many records yet to read."""

    def note(self, text: str) -> None:
        """A line worth reading."""


@dataclass(slots=True)
class ReplayResult:
    """What went in, what became of it, and how long it took."""

    namespace: str
    state: State
    """COMPLETE, or STOPPED by command."""
    source: dict[str, Any]
    published: PublishStats
    publish_s: float
    total_s: float
    """From the first record until the last group had read everything."""
    counts: Counts
    workers: tuple[str, ...]
    """Groups whose workers this replay started."""

    def row(self) -> dict[str, Any]:
        """One flat row: ``replay --json``."""
        sent, counts = self.published, self.counts
        return {
            "namespace": self.namespace,
            **self.source,
            **sent_row(sent),
            "state": self.state,
            "publish_s": round(self.publish_s, 3),
            "total_s": round(self.total_s, 3),
            **rates(sent, self.publish_s, self.total_s),
            **counts_row(counts),
        }


def sent_row(sent: PublishStats) -> dict[str, int]:
    """What was published, by kind."""
    return {
        "records": sent.records,
        "ticks": sent.ticks,
        "candles": sent.candles,
        "quotes": sent.quotes,
        "chains": sent.chains,
        "heartbeats": sent.heartbeats,
        "raw": sent.raw,
    }


def counts_row(counts: Counts) -> dict[str, Any]:
    """What analytics counted in the whole namespace, events by their fate."""
    return {
        "read": counts.read,
        "accepted": counts.accepted,
        "outside_session": counts.outside_session,
        "outside": dict(sorted(counts.outside.items())),
        "duplicates": counts.duplicates,
        "held": counts.held,
        "rejects": dict(sorted(counts.rejects.items())),
    }


def rates(sent: PublishStats, publish_s: float, total_s: float) -> dict[str, int]:
    """Events a second: published, and read by every group."""
    return {
        "published_per_s": round(sent.events / max(publish_s, 1e-9)),
        "processed_per_s": round(sent.events / max(total_s, 1e-9)),
    }
