"""What happens at each rebalance, in the order that loses nothing.

Stock Faust resumes the source partitions before it seeks them and then empties the queues, so that
records already handed over vanish. Here: restore the state, remember the generation, and only then
read what follows the state. A newer generation in between ends the attempt; its own follows.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery

from optionstream.streams.engine.ports import Engine


class StateRecovery(Recovery):
    """Restores partitions from our state topics; Faust's own tables are not used."""

    async def _resume_streams(self, generation_id: int = 0) -> None:
        app: Any = self.app
        engine = cast(Engine, self.app)
        consumer = app.consumer
        await app.on_rebalance_complete.send()
        assignment = consumer.assignment()
        if app.consumer_generation_id != generation_id:
            return
        positions = await engine.checkpoint.restore(assignment, generation_id)
        if app.consumer_generation_id != generation_id:
            return
        engine.checkpoint.begin(generation_id)
        engine.read_from(generation_id, positions)
        self.completed.set()
        app.flow_control.resume()
        consumer.resume_partitions(assignment)
        consumer.resume_flow()
        await app._fetcher.maybe_start()
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        app.on_rebalance_end()
        self.log.info("generation %d: %d partitions, ready", generation_id, len(assignment))


class StateTableManager(TableManager):
    """Faust's table manager without its tables and without its second of sleep at start."""

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = StateRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        await asyncio.sleep(0)
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()
