"""What may be published now: a state machine without a clock, a server or an event.

It is told the time (``now_s``, monotonic seconds), the commands and what was published, and is
asked about the head of the stream: how many of its rows may go, and when to ask again. Event time
is UTC epoch ms. Nothing later than the clock goes out at a pace, nothing at all while paused but
what was stepped or sought.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final

from optionstream.schemas.errors import ReplayRefused
from optionstream.schemas.replays import Action, Command, State
from optionstream.schemas.times import rfc3339

OpenMs = Callable[[int, int], int]
"""How long the market was open between two instants (epoch ms), in ms; 0 when the second is not
after the first. Waiting is for open time only."""

_PAUSED: Final = "nothing goes out until `resume`, `step` or `seek`"


class Controller:
    """``speed`` None is as fast as it goes, 1 real time. ``fixed`` says why this replay takes no
    command but ``stop``; None when it takes all."""

    def __init__(self, speed: float | None, open_ms: OpenMs, fixed: str | None = None) -> None:
        self.speed = speed
        self.clock_ms: int | None = None
        """The event time reached: the latest published, or sought."""
        self._open_ms = open_ms
        self._fixed = fixed
        self._paused = False
        self._stopped = False
        self._steps = 0
        self._seek_ms: int | None = None
        self._anchor: tuple[float, int] | None = None

    @property
    def state(self) -> State:
        if self._stopped:
            return State.STOPPED
        if self._seek_ms is not None:
            return State.SEEKING
        return State.PAUSED if self._paused else State.RUNNING

    @property
    def stopped(self) -> bool:
        return self._stopped

    @property
    def holding(self) -> bool:
        """Nothing may go out before another command."""
        return self._paused and not self._steps and self._seek_ms is None

    def take(self, command: Command, now_s: float) -> str:
        """Follow the command; a line that says so. Raises ReplayRefused, and changes nothing."""
        if self._fixed is not None and command.action is not Action.STOP:
            raise ReplayRefused(self._fixed)
        match command.action:
            case Action.PAUSE:
                self._paused, self._steps, self._seek_ms = True, 0, None
                return f"paused at {self._told_clock()}: {_PAUSED}"
            case Action.RESUME:
                self._paused, self._steps = False, 0
                self._anchor_at(now_s)
                return f"running from {self._told_clock()} on"
            case Action.STEP:
                return self._step(int(command.value or 0))
            case Action.SEEK:
                return self._seek(int(command.value or 0))
            case Action.SPEED:
                self.speed = command.value
                self._anchor_at(now_s)
                return f"speed {self.told_speed}"
            case Action.STOP:
                self._stopped = True
                return f"stopped at {self._told_clock()}; workers are catching up"

    def rows_due(self, reach: Sequence[int], now_s: float) -> int:
        """How many of the head's leading rows may go now. ``reach``: the event time reached after
        each row, never falling; rows at or before the clock's time are due."""
        if self._seek_ms is not None:
            if rows := bisect_right(reach, self._seek_ms):
                return rows
            self._arrive(self._seek_ms, now_s)
        if self._paused:
            return min(self._steps, len(reach))
        if self.speed is None:
            return len(reach)
        budget_ms = self._budget_ms(reach[0], now_s)
        return bisect_right(reach, budget_ms, key=self._since_anchor)

    def wait_s(self, first_ms: int, now_s: float) -> float | None:
        """Seconds until the head's first row (event time ``first_ms``) is due; None: not without a
        command. Ask after ``rows_due`` gave none."""
        if self._paused or self.speed is None:
            return None
        left_ms = self._since_anchor(first_ms) - self._budget_ms(first_ms, now_s)
        return max(0.0, left_ms / 1000.0 / self.speed)

    def passed(self, reached_ms: int, events: int) -> None:
        """Rows up to this event time were published, ``events`` of them count as steps."""
        self.clock_ms = reached_ms if self.clock_ms is None else max(self.clock_ms, reached_ms)
        self._steps = max(0, self._steps - events)

    def left_s(self, last_ms: int) -> float | None:
        """How long it takes until the event time ``last_ms`` at this pace; None without a pace."""
        if self.speed is None or self._paused or self.clock_ms is None:
            return None
        return self._open_ms(self.clock_ms, last_ms) / 1000.0 / self.speed

    @property
    def told_speed(self) -> str | float:
        return "max" if self.speed is None else self.speed

    def _step(self, events: int) -> str:
        if not self._paused:
            raise ReplayRefused("step: the replay runs. Pause it first")
        if self._seek_ms is not None:
            raise ReplayRefused("step: a seek is under way. Wait for it, or pause")
        self._steps += events
        return f"stepping {self._steps} events from {self._told_clock()} on"

    def _seek(self, to_ms: int) -> str:
        if self.clock_ms is not None and to_ms < self.clock_ms:
            raise ReplayRefused(
                f"seek {rfc3339(to_ms)}: the replay is at {self._told_clock()} already, and what "
                "was published cannot be taken back. Start a new replay and seek there"
            )
        self._seek_ms, self._steps = to_ms, 0
        after = "paused" if self._paused else "running"
        return f"seeking {rfc3339(to_ms)} at full speed, then {after}"

    def _arrive(self, at_ms: int, now_s: float) -> None:
        """All up to the instant sought is out, and nothing after it."""
        self._seek_ms = None
        self.clock_ms = at_ms if self.clock_ms is None else max(self.clock_ms, at_ms)
        self._anchor_at(now_s)

    def _anchor_at(self, now_s: float) -> None:
        self._anchor = None if self.clock_ms is None else (now_s, self.clock_ms)

    def _budget_ms(self, first_ms: int, now_s: float) -> float:
        """Open time that has been played since the anchor; the first event sets it."""
        if self._anchor is None:
            self._anchor = (now_s, first_ms)
        return (now_s - self._anchor[0]) * 1000.0 * (self.speed or 0.0)

    def _since_anchor(self, time_ms: int) -> int:
        assert self._anchor is not None
        return self._open_ms(self._anchor[1], time_ms)

    def _told_clock(self) -> str:
        return "the beginning" if self.clock_ms is None else rfc3339(self.clock_ms)
