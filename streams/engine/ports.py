"""What the engine's modules need of each other and of the logic they run, as protocols."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from faust.types import TP

from optionstream.streams.core.intake import Incoming, Output, Source
from optionstream.streams.engine.state_topic import Restored

Send = Callable[..., Awaitable[Awaitable[int]]]
"""``Outbox.send``: hands over; what it returns has the record's offset once it is delivered."""


class Processor(Protocol):
    """The pure logic of one source partition (docs/engine.md, rules for a processor)."""

    def apply(self, records: Sequence[Incoming]) -> list[Output]:
        """Apply the records in their order; return what follows from them."""
        ...

    def partials(self, *, quick: bool = False) -> list[Output]:
        """Return views of the moment; ``quick``: those that must not wait for a settling."""
        ...

    def hot(self) -> bytes:
        """Return the state that changes with every record."""
        ...

    def take_segments(self) -> dict[str, bytes | None]:
        """Return the segments that changed since the last call; None retires a name."""
        ...

    def restore(self, hot: bytes, segments: Mapping[str, bytes]) -> None:
        """Restore the state saved as ``hot`` and ``segments``."""
        ...


class StateSource(Protocol):
    """Where state is read from; called in a thread."""

    def restore(self, source: Source) -> tuple[str, Restored]:
        """Return the source's topic id as it is now, and what is stored for its partition."""
        ...

    def next_offset(self, source: Source, offset: int) -> int | None:
        """Return the offset of the first record at or after ``offset`` in the source."""
        ...


class StateKeeper(Protocol):
    """Of the checkpoint: what rebalances and commits need."""

    async def restore(self, assignment: Iterable[TP], generation: int) -> dict[TP, int]: ...
    def begin(self, generation: int) -> None: ...
    async def settle(self) -> None: ...
    def positions(self) -> dict[TP, int]: ...


class Engine(Protocol):
    """Of our Faust app: what recovery and transport need beside Faust's own."""

    @property
    def checkpoint(self) -> StateKeeper: ...

    def read_from(self, generation: int, positions: Mapping[TP, int]) -> None: ...
    def stop_reading(self) -> None: ...
