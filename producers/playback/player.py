"""Plays pieces into a publisher as its controller allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from optionstream.producers.kafka.publisher import Publisher
from optionstream.producers.playback.controller import Controller
from optionstream.producers.playback.pieces import Piece
from optionstream.schemas.errors import ReplayRefused
from optionstream.schemas.replays import Answer, Command

_LOOK_AGAIN_S: Final = 0.1
_LEAST_PAUSE_S: Final = 0.01
"""Rows due within this time go out together."""


class Inbox(Protocol):
    """Where commands come from."""

    def taken(self) -> Sequence[tuple[str, Command]]:
        """The commands that arrived since the last look, each with its id."""

    def answer(self, answer: Answer) -> None:
        """What became of one."""


class Player:
    """What it has done so far shows in ``controller`` and in these fields."""

    def __init__(
        self,
        controller: Controller,
        inbox: Inbox,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self.controller = controller
        self.first_ms: int | None = None
        """The earliest event time published, epoch ms."""
        self.last_ms: int | None = None
        """The latest."""
        self.schemas: Counter[str] = Counter()
        """Records published by their schema."""
        self.quiet_since_s: float | None = None
        """Since when everything that was published is acknowledged and nothing more goes out before
        a command; None while it publishes."""
        self._inbox = inbox
        self._clock = clock
        self._sleep = sleep

    def play(self, pieces: Iterable[Piece], publisher: Publisher, tell: Callable[[], None]) -> None:
        """Until the pieces end or the controller is stopped. Flushes whenever it has to wait for a
        command, and at the end; ``tell`` is called after each record and each look."""
        try:
            for piece in pieces:
                if not self._play(piece, publisher, tell):
                    break
        finally:
            publisher.flush()

    def _play(self, piece: Piece, publisher: Publisher, tell: Callable[[], None]) -> bool:
        """Whether to go on after all of the piece is out."""
        rest: Piece | None = piece
        while rest is not None:
            self._obey()
            if self.controller.stopped:
                return False
            now_s = self._clock()
            rows = self.controller.rows_due(rest.reach, now_s)
            if rows:
                rest = self._send(rest, rows, publisher)
            else:
                self._wait(self.controller.wait_s(rest.reach[0], now_s), publisher)
            tell()
        return True

    def _send(self, piece: Piece, rows: int, publisher: Publisher) -> Piece | None:
        head, rest = piece.cut(rows) if rows < len(piece.reach) else (piece, None)
        self.quiet_since_s = None
        head.send(publisher)
        self.schemas[head.schema] += 1
        first_ms, last_ms = head.reach[0], head.reach[-1]
        self.first_ms = first_ms if self.first_ms is None else min(self.first_ms, first_ms)
        self.last_ms = last_ms if self.last_ms is None else max(self.last_ms, last_ms)
        self.controller.passed(last_ms, head.events)
        return rest

    def _wait(self, wait_s: float | None, publisher: Publisher) -> None:
        if wait_s is None:
            publisher.flush()  # what the clock says is out must be there
            self.quiet_since_s = self.quiet_since_s or self._clock()
            self._sleep(_LOOK_AGAIN_S)
        else:
            self._sleep(min(max(wait_s, _LEAST_PAUSE_S), _LOOK_AGAIN_S))

    def _obey(self) -> None:
        for id_, command in self._inbox.taken():
            try:
                text = self.controller.take(command, self._clock())
            except ReplayRefused as error:
                self._inbox.answer(Answer(id_, False, str(error)))
            else:
                self._inbox.answer(Answer(id_, True, text))
