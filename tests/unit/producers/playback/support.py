"""A player with a clock that only sleeping moves, and a publisher that remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from optionstream.producers.playback import (
    Controller,
    EventPiece,
    Player,
)
from optionstream.schemas.events import (
    CandleFrame,
    Heartbeat,
    MarketEvent,
    OptionQuoteFrame,
    TickFrame,
)
from optionstream.schemas.replays import Action, Answer, Command, State

NEVER = 10_000


def beat(ts: int, product: str = "NIFTY") -> Heartbeat:
    return Heartbeat(product=product, source="test", ts_event=ts, ts_recv=ts)


def frame(*stamps: int, product: str = "NIFTY") -> TickFrame:
    return TickFrame(
        product=product, source="test", session="s", ts_recv=max(stamps), ts_ms=list(stamps),
        price=[1.0 + at for at in range(len(stamps))], seq=list(range(len(stamps))),
        volume=[None] * len(stamps),
    )  # fmt: skip


def always_open(start_ms: int, end_ms: int) -> int:
    return max(0, end_ms - start_ms)


class World:
    """Plays events; ``sent`` are (second, event). Commands are given at looks, counted from 0."""

    def __init__(
        self,
        events: Iterable[MarketEvent],
        speed: float | None = None,
        *,
        commands: dict[int, Sequence[Command]] | None = None,
        open_ms: Callable[[int, int], int] = always_open,
        fixed: str | None = None,
    ) -> None:
        self.now_s = 100.0
        self.sent: list[tuple[float, MarketEvent]] = []
        self.answers: list[Answer] = []
        self.looks = 0
        self.flushed = 0
        self.clocks: list[int | None] = []
        """At each look."""
        self.states: list[State] = []
        self.times: list[float] = []
        self._commands = commands or {}
        self.controller = Controller(speed, open_ms, fixed)
        self.player = Player(self.controller, self, lambda: self.now_s, self._sleep)
        publisher: Any = self
        self.player.play(map(EventPiece, events), publisher, self._tell)

    @property
    def stamps(self) -> list[int]:
        """Event times in the order in which they went out."""
        return [
            stamp
            for _, event in self.sent
            for stamp in (event.ts_ms if isinstance(event, TickFrame) else [event.ts_event])  # type: ignore[union-attr]
        ]

    def taken(self) -> Sequence[tuple[str, Command]]:
        given = self._commands.get(self.looks, ())
        self.looks += 1
        if self.looks > NEVER:
            given = (Command(Action.STOP),)
        return [(str(self.looks), command) for command in given]

    def answer(self, answer: Answer) -> None:
        self.answers.append(answer)

    def publish(self, event: MarketEvent) -> None:
        self.sent.append((round(self.now_s - 100.0, 6), event))

    def flush(self) -> None:
        self.flushed = len(self.sent)

    def _sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds

    def _tell(self) -> None:
        if self.looks < NEVER:
            self.clocks.append(self.controller.clock_ms)
            self.states.append(self.controller.state)
            self.times.append(self.now_s)


def stamps(found: list[EventPiece]) -> list[list[int]]:
    return [piece.event.ts_ms for piece in found if isinstance(piece.event, TickFrame)]


def candles(*starts: int) -> CandleFrame:
    figures = [1.0] * len(starts)
    return CandleFrame(
        product="NIFTY", source="test", session="s", ts_recv=max(starts) + 60_000,
        interval_ms=60_000, start_ms=list(starts), open=figures, high=figures, low=figures,
        close=figures, volume=[5] * len(starts),
    )  # fmt: skip


def quotes(*stamps: int) -> OptionQuoteFrame:
    return OptionQuoteFrame(
        product="NIFTY", expiry="2026-01-06", source="test", session="s", ts_recv=max(stamps),
        oi_unit="lots", ts_ms=list(stamps), seq=list(range(len(stamps))),
        strike=[100.0] * len(stamps), kind=["CE"] * len(stamps), last=[1.5] * len(stamps),
    )  # fmt: skip
