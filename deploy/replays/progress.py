"""Reports of a replay: its progress while it runs, and its result."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from optionstream.deploy.replays.sources.source import InputObserver
from optionstream.producers.kafka.settings import PublishStats
from optionstream.schemas.replays import State

if TYPE_CHECKING:
    from optionstream.streams.analytics.counts import Counts


_PUBLISHED = ("records", "ticks", "candles", "quotes", "chains", "heartbeats", "raw")
"""The fields of PublishStats that are reported."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A running replay at one moment. Times of events are epoch ms."""

    state: State
    clock_ms: int | None
    speed: str | float
    records: int
    events: int
    rate: float
    """Events published per second, over the last seconds."""
    lag: dict[str, int | None]
    """Records that each group has yet to read; None when it is not known."""
    settled: bool
    """True if every group has read all records, and the next ones wait for a command."""
    time_left_s: float | None
    time_left_reason: str | None

    def row(self) -> dict[str, Any]:
        """Return it as it is stored in the registry (schemas/replays.py)."""
        return asdict(self)


class Observer(InputObserver):
    """Receives reports of a replay; the command line draws its progress. Does nothing itself."""

    def report_progress(self, progress: Progress) -> None:
        """Report the progress; called several times a second while the replay publishes."""

    def report_lag(self, group: str, left: int) -> None:
        """Report that a group has ``left`` records yet to read."""

    def note(self, text: str) -> None:
        """Report one line for people."""


@dataclass(slots=True)
class ReplayResult:
    """The result of a replay: records published, their fate, and the time it took."""

    namespace: str
    state: State
    """COMPLETE, or STOPPED by a command."""
    source: dict[str, Any]
    published: PublishStats
    publish_s: float
    total_s: float
    """From the first record until the last group has read everything."""
    counts: Counts
    workers: tuple[str, ...]
    """Groups whose workers this replay started."""

    def row(self) -> dict[str, Any]:
        """Return it as one flat row, for ``replay --json``."""
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
    """Return the numbers of records and events published, by kind."""
    return {kind: getattr(sent, kind) for kind in _PUBLISHED}


def counts_row(counts: Counts) -> dict[str, Any]:
    """Return analytics' counts of the whole namespace: events by their fate."""
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
    """Return events per second: published, and read by every group."""
    return {
        "published_per_s": round(sent.events / max(publish_s, 1e-9)),
        "processed_per_s": round(sent.events / max(total_s, 1e-9)),
    }
