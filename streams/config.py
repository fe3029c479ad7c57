"""What a worker is told at its start."""

from __future__ import annotations

from dataclasses import dataclass

from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Addresses, namespace and settings of one worker process.

    ``instance`` tells the workers of one group apart ("1", "2" …): it makes the group's
    membership static, so that a restarted worker gets its partitions back at once.
    """

    kafka: str
    mongo: str
    redis: str
    namespace: Namespace
    settings: Settings
    instance: str = "1"
    metrics_port: int = 0
    """Port of the metrics page; 0 takes a free one and logs it."""
