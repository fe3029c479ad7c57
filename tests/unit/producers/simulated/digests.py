"""A short simulated session, and a digest of its events."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.schemas import codec
from tests.harness.feed_files import at

DAY = "2026-01-06"


OPEN, CLOSE = at(f"{DAY} 09:15:00"), at(f"{DAY} 15:30:00")


DEFAULT = SimulationConfig(seed=1, date=DAY)


SHORT = replace(DEFAULT, close_ms=OPEN + 600_000)


def digest_of(config: SimulationConfig) -> str:
    digest = hashlib.sha256()
    for event in SimulatedMarket(config).events():
        digest.update(codec.encode(event))
    return digest.hexdigest()
