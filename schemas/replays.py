"""Replays in the registry: their states, the commands they accept, how they are shown.

The registry is the collection ``namespaces`` of the MongoDB database ``optionstream``: one document
a replay, ``_id`` its id, which is its namespace's name. The running replay writes ``progress`` and
``beat_at`` (the server's clock) several times a second, takes ``commands`` out and puts ``answers``
in. A replay that stops its heartbeat without recording an end counts as dead.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import isfinite
from typing import Any, Final

from msgspec import Struct

from optionstream.schemas.errors import ReplayRefused
from optionstream.schemas.times import rfc3339

DATABASE: Final = "optionstream"
COLLECTION: Final = "namespaces"

BEAT_EVERY_S: Final = 0.2
DEAD_AFTER_S: Final = 5.0
"""A running replay without a heartbeat for this long is dead."""
ANSWER_WITHIN_S: Final = 10.0
"""A living replay answers a command within this time."""
LOOK_EVERY_S: Final = 0.05
MOST_ANSWERS: Final = 20

Row = dict[str, Any]


class State(StrEnum):
    """The activity of a replay, or how it ended."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    SEEKING = "seeking"
    DRAINING = "draining"
    """All is published; workers are catching up."""
    COMPLETE = "complete"
    STOPPED = "stopped"
    """Ended by the command ``stop``: what was published has been read by every group."""
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    DEAD = "dead"
    """Its process ended without recording it."""


class Action(StrEnum):
    """Commands to a running replay."""

    PAUSE = "pause"
    RESUME = "resume"
    STEP = "step"
    SEEK = "seek"
    SPEED = "speed"
    STOP = "stop"


class Command(Struct, frozen=True):
    """``value``: how many events to step, the instant to seek (epoch ms), or the speed (None: max).

    ``Command.checked`` makes one from user input.
    """

    action: Action
    value: float | None = None

    @classmethod
    def checked(cls, action: Action, value: float | None = None) -> Command:
        """Return the command; raise ReplayRefused if the action cannot have the value."""
        if action is Action.STEP and (value is None or value < 1 or value != int(value)):
            raise ReplayRefused(f"step {value}: use a whole number of events, at least 1")
        if action is Action.SEEK and (value is None or value < 0):
            raise ReplayRefused("seek: name an instant")
        if action is Action.SPEED and value is not None and not (isfinite(value) and value > 0):
            raise ReplayRefused(f"speed {value}: use max, realtime, or a number above 0")
        if action in (Action.PAUSE, Action.RESUME, Action.STOP) and value is not None:
            raise ReplayRefused(f"{action.value} takes no value")
        return cls(action, value)


class Answer(Struct, frozen=True):
    """The outcome of a command: ``ok`` or not. ``text`` is a line for people."""

    id: str
    ok: bool
    text: str


def posted(id_: str, command: Command) -> Row:
    """Return the command as it is stored in the entry."""
    return {"id": id_, "action": command.action.value, "value": command.value}


def command_in(row: Mapping[str, Any]) -> Command:
    """Return the command that ``posted`` stored."""
    return Command.checked(Action(row["action"]), row["value"])


def read_stages(name: str | None = None) -> list[Row]:
    """Return the aggregation that reads one entry or all, the oldest first.

    Each gets ``beat_age_ms``, the age of its heartbeat by the server's clock.
    """
    age = {"$subtract": ["$$NOW", "$beat_at"]}
    match: list[Row] = [] if name is None else [{"$match": {"_id": name}}]
    return [*match, {"$set": {"beat_age_ms": age}}, {"$sort": {"created_at": 1, "_id": 1}}]


def state_of(row: Mapping[str, Any]) -> State | None:
    """Return the state of an entry read by ``read_stages``; None if it has none."""
    state = row.get("state")
    if state is None:
        return None
    if state != State.RUNNING:
        return State(state)
    age_ms = row.get("beat_age_ms")
    if age_ms is None or age_ms > DEAD_AFTER_S * 1000:
        return State.DEAD
    return State((row.get("progress") or {}).get("state", State.STARTING))


UNDER_WAY: Final = frozenset(
    {State.STARTING, State.RUNNING, State.PAUSED, State.SEEKING, State.DRAINING}
)
"""States in which a process works on the replay."""
_READ_UP: Final = frozenset({State.COMPLETE, State.STOPPED})


def describe(row: Mapping[str, Any]) -> Row:
    """Return an entry as ``replay status`` and the API show it.

    ``clock`` is the event time that the replay has reached; ``rate`` events published a second;
    ``lag`` records that each group has yet to read, null when not known; ``settled`` that nothing
    goes out and every group has read all that did; ``time_left_s`` null with ``time_left_reason``.
    """
    state = state_of(row)
    under_way = state in UNDER_WAY
    progress: Mapping[str, Any] = row.get("progress") or {}
    clock = progress.get("clock_ms")
    left = progress.get("time_left_s") if under_way else None
    reason = None
    if left is None:
        reason = progress.get("time_left_reason", "not begun") if under_way else "not under way"
    return {
        "id": row["_id"],
        "namespace": row["_id"],
        "state": state,
        "clock": rfc3339(clock) if clock is not None else None,
        "speed": progress.get("speed"),
        "records": progress.get("records"),
        "events": progress.get("events"),
        "rate": progress.get("rate") if under_way else None,
        "lag": progress.get("lag") or {},
        "settled": state in _READ_UP or (under_way and bool(progress.get("settled"))),
        "time_left_s": left,
        "time_left_reason": reason,
        "host": row.get("host"),
        "pid": row.get("pid"),
        "error": row.get("error"),
        "manifest": row.get("manifest"),
    }


def refusal(name: str, state: State | None) -> str | None:
    """Return why a replay in this state accepts no command; None if it does."""
    if state in UNDER_WAY:
        return None
    if state is State.DEAD:
        return (
            f"replay {name} is dead: its process is gone. Run the same `optionstream replay … "
            f"--namespace {name}` again at max speed to complete it, or `optionstream replay drop "
            f"{name}`"
        )
    ended = "has never run here" if state is None else f"has ended ({state.value})"
    return f"replay {name} {ended}: commands are for one under way. Start a new replay"


def unknown(name: str, known: list[str]) -> str:
    """Return the error text for an unknown id."""
    return f"there is no replay {name}; there are: {', '.join(known) or 'none yet'}"
