"""The app's watch over its own life."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from optionstream.streams.engine import app
from optionstream.streams.engine.app import EngineApp


@dataclass
class Beats:
    seen: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    def beat(self) -> None:
        self.seen += 1
        if self.seen == 3:
            self.enough.set()


def test_the_beat_goes_on_while_the_app_stops(monkeypatch: Any) -> None:
    """Else a stop that settles for longer than half a session is taken for a sleep."""
    monkeypatch.setattr(app, "BEAT_S", 0.001)

    async def steps() -> None:
        beats = Beats()
        stopping: Any = SimpleNamespace(checkpoint=beats, rebalancing=False, should_stop=True)
        watch = asyncio.create_task(EngineApp.watch(stopping))
        async with asyncio.timeout(5):
            await beats.enough.wait()
        watch.cancel()

    asyncio.run(steps())
