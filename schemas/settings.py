"""Settings: one frozen object, made from an environment that the caller hands in.

Nothing here reads the environment at import time and nothing connects to a server.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from optionstream.schemas.errors import SettingsError

if TYPE_CHECKING:
    from optionstream.schemas.derived import IvMode

ENV_PREFIX = "OPTIONSTREAM_"
ROW_INTERVALS = ("1m", "3m", "5m", "15m", "30m", "60m")
"""Lengths of bars that can make rows of features: all but the day."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a user can set.

    Addresses are None when unset: the command line then looks for the local stack that
    ``optionstream up`` started. Durations end in ``_ms`` or ``_s``.
    """

    data_dir: Path
    kafka: str | None = None
    """Kafka bootstrap servers, ``host:port[,host:port]``."""
    mongo: str | None = None
    """MongoDB URI of a replica set, ``mongodb://…``."""
    redis: str | None = None
    """Redis URL, ``redis://…``."""
    kafka_port: int = 9092
    mongo_port: int = 27017
    redis_port: int = 6379
    stack: str = "auto"
    """Servers that ``up`` starts where no address is set: ``auto``, ``docker`` or ``native``."""
    partitions: int = 6
    """Partitions of every topic but the raw ones, which have one; 6 keeps NIFTY, BANKNIFTY,
    FINNIFTY and SENSEX apart."""
    replication: int = 1
    market_retention_ms: int = 7 * 86_400_000
    rejects_retention_ms: int = 30 * 86_400_000
    raw: bool = True
    """True if ``feed file`` publishes the bytes that it received as well as the events."""
    raw_retention_ms: int = 7 * 86_400_000
    allowed_lateness_ms: int = 2_000
    """Event time that a window stays open after its end, for late ticks."""
    future_limit_ms: int = 60_000
    """Live: an event further ahead of its receipt than this is rejected."""
    partial_every_ms: int = 0
    """Minimum event time between partial updates of a bar; 0 sends one at each checkpoint."""
    silence_ms: int = 60_000
    """A product without a tick for longer than this, in event time, has a gap."""
    quote_cadence_ms: int = 1_000
    """Event time between two chains assembled from quotes; 0 makes one at every change."""
    stale_ms: int = 300_000
    """A chain received later than this after its exchange time is flagged as stale."""
    iv_mode: IvMode = "black76"
    """Method of computing implied volatility: ``black76`` on the parity forward, or ``nse``."""
    session_timeout_ms: int = 6_000
    """Kafka group session timeout of the workers; at least ``kafka_min_session_ms``."""
    kafka_min_session_ms: int = 6_000
    """Shortest session timeout that the local Kafka accepts."""
    stall_ms: int = 60_000
    """A supervised worker is restarted if its group has lag and makes no progress for this long;
    0: never."""
    mongo_flush_rows: int = 20_000
    audit_dir: Path | None = None
    """Folder of audit archives, one for each namespace; None: ``audit`` in the data folder."""
    audit_flush_s: int = 30
    """Maximum time that a record waits for others in its archive file."""
    audit_retention_days: int = 2_557
    """Days that an archive keeps its files: seven years."""
    features_dir: Path | None = None
    """Folder of features, one in it for each namespace; None: ``features`` in the data folder."""
    features_intervals: tuple[str, ...] = ROW_INTERVALS
    """Lengths of the bars that make rows of features."""
    features_flush_s: int = 10
    """Maximum time that a due row of features waits for others."""
    features_idle_s: int = 30
    """Rows of a product wait no longer once all is read and nothing came for this long."""
    features_max_age_ms: int = 900_000
    """A chain older than this at the end of a bar counts as silent in its row."""
    metrics_port: int = 0
    """Port of a worker's metrics page; 0 takes a free one and logs it. Supervised workers take this
    port and the next ones, in the order analytics, latest, history, audit, features."""

    def archive_folder(self, namespace: str) -> Path:
        """Return the folder of a namespace's audit archive."""
        return (self.audit_dir or self.data_dir / "audit") / namespace

    def worker_folder(self, namespace: str) -> Path:
        """Return the folder of a namespace's worker logs and its supervisor's state."""
        return self.data_dir / "workers" / namespace

    def features_folder(self, namespace: str) -> Path:
        """Return the folder of a namespace's features."""
        return (self.features_dir or self.data_dir / "features") / namespace

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read ``OPTIONSTREAM_*`` from ``env``; a bad value raises SettingsError naming it."""
        from optionstream.schemas.derived import IvMode  # msgspec: `--help` does without it

        def text(name: str) -> str | None:
            return env.get(ENV_PREFIX + name) or None

        def number(name: str, default: int, low: int = 0) -> int:
            raw = text(name)
            if raw is None:
                return default
            try:
                value = int(raw)
            except ValueError:
                raise SettingsError(f"{ENV_PREFIX}{name}={raw!r} is not a whole number") from None
            if value < low:
                raise SettingsError(f"{ENV_PREFIX}{name}={value} is below the least value {low}")
            return value

        def switch(name: str, default: bool) -> bool:
            raw = text(name)
            if raw not in (None, "0", "1"):
                raise SettingsError(f"{ENV_PREFIX}{name}={raw!r}: use 1 or 0")
            return default if raw is None else raw == "1"

        iv_mode = text("IV_MODE") or "black76"
        if iv_mode not in get_args(IvMode):
            raise SettingsError(f"{ENV_PREFIX}IV_MODE={iv_mode!r}: use black76 or nse")
        min_session_ms = number("KAFKA_MIN_SESSION_MS", 6_000, 1_000)
        stack = text("STACK") or "auto"
        if stack not in ("auto", "docker", "native"):
            raise SettingsError(f"{ENV_PREFIX}STACK={stack!r}: use auto, docker or native")
        return cls(
            data_dir=_data_dir(env),
            kafka=text("KAFKA"),
            mongo=text("MONGO"),
            redis=text("REDIS"),
            kafka_port=number("KAFKA_PORT", 9092, 1),
            mongo_port=number("MONGO_PORT", 27017, 1),
            redis_port=number("REDIS_PORT", 6379, 1),
            stack=stack,
            partitions=number("PARTITIONS", 6, 1),
            replication=number("REPLICATION", 1, 1),
            market_retention_ms=number("MARKET_RETENTION_MS", 7 * 86_400_000, 1),
            rejects_retention_ms=number("REJECTS_RETENTION_MS", 30 * 86_400_000, 1),
            raw=switch("RAW", True),
            raw_retention_ms=number("RAW_RETENTION_MS", 7 * 86_400_000, 1),
            allowed_lateness_ms=number("ALLOWED_LATENESS_MS", 2_000),
            future_limit_ms=number("FUTURE_LIMIT_MS", 60_000),
            partial_every_ms=number("PARTIAL_EVERY_MS", 0),
            silence_ms=number("SILENCE_MS", 60_000, 60_000),
            quote_cadence_ms=number("QUOTE_CADENCE_MS", 1_000),
            stale_ms=number("STALE_MS", 300_000, 1),
            iv_mode=iv_mode,  # type: ignore[arg-type]
            session_timeout_ms=number(
                "SESSION_TIMEOUT_MS", max(6_000, min_session_ms), min_session_ms
            ),
            kafka_min_session_ms=min_session_ms,
            stall_ms=number("STALL_MS", 60_000),
            mongo_flush_rows=number("MONGO_FLUSH_ROWS", 20_000, 1),
            audit_dir=_folder(text("AUDIT_DIR")),
            audit_flush_s=number("AUDIT_FLUSH_S", 30, 1),
            audit_retention_days=number("AUDIT_RETENTION_DAYS", 2_557, 1),
            features_dir=_folder(text("FEATURES_DIR")),
            features_intervals=_intervals(text("FEATURES_INTERVALS")),
            features_flush_s=number("FEATURES_FLUSH_S", 10, 1),
            features_idle_s=number("FEATURES_IDLE_S", 30, 1),
            features_max_age_ms=number("FEATURES_MAX_AGE_MS", 900_000, 1),
            metrics_port=number("METRICS_PORT", 0),
        )


def _folder(raw: str | None) -> Path | None:
    return Path(raw).expanduser().resolve() if raw else None


def _intervals(raw: str | None) -> tuple[str, ...]:
    """Return the intervals in ``1m,5m`` by length; all if ``raw`` is None."""
    known = ROW_INTERVALS
    if raw is None:
        return known
    named = {one.strip() for one in raw.split(",") if one.strip()}
    if not named or not named <= set(known):
        raise SettingsError(
            f"{ENV_PREFIX}FEATURES_INTERVALS={raw!r}: use some of {','.join(known)}"
        )
    return tuple(one for one in known if one in named)


def _data_dir(env: Mapping[str, str]) -> Path:
    explicit = _folder(env.get(ENV_PREFIX + "DATA_DIR"))
    if explicit is not None:
        return explicit
    base = env.get("XDG_DATA_HOME") or os.path.join(env.get("HOME", "."), ".local", "share")
    return Path(base).expanduser().resolve() / "optionstream"
