"""An analytics worker in which one step of the checkpoint fails, once.

The worker is the product's, unchanged, in a process of its own: where it puts its parts together,
what it sends, computes and commits with is wrapped from outside. What happened is a line each in
the plan's file.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
from faust.types import TP

from optionstream.deploy.cli.main import main
from optionstream.schemas import codec
from optionstream.schemas.derived import Bar
from optionstream.streams.analytics import worker
from optionstream.streams.core.intake import Incoming, Output, Source
from optionstream.streams.engine.app import EngineApp
from optionstream.streams.engine.checkpoint import Checkpoint
from optionstream.streams.engine.ports import Processor
from optionstream.streams.engine.state_topic import SNAPSHOT_KEY
from optionstream.streams.engine.transport import FetchConsumer, FetchTransport

_LONGEST_WAIT_S = 30.0
_INTO_THE_REBALANCE_S = 0.3
"""So long after its first sign: by then the partitions are being taken away."""
UP = "up"
"""Told when the worker has put its parts together."""
NO_REBALANCE = 3
"""Exit code when the rebalance that a step waits for does not come."""


_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


class Step(StrEnum):
    """In the order of the checkpoint. *Refused*: not sent at all; *lost*: sent, never arrived;
    *unanswered*: arrived, and the answer did not."""

    APPLY = "records half applied"
    QUICK_VIEWS = "quick views"
    OUTPUT_REFUSED = "output refused"
    OUTPUT_LOST = "output lost"
    OUTPUT_UNANSWERED = "output unanswered"
    SLOW_VIEWS = "slow views"
    COPY = "copy of the state"
    SEGMENTS = "segments of the state"
    SEGMENT_REFUSED = "segment refused"
    SEGMENT_LOST = "segment lost"
    SEGMENT_UNANSWERED = "segment unanswered"
    SNAPSHOT_REFUSED = "snapshot refused"
    SNAPSHOT_LOST = "snapshot lost"
    SNAPSHOT_UNANSWERED = "snapshot unanswered"
    DELETION_REFUSED = "deletion refused"
    COMMIT_LOST = "commit lost"
    COMMIT_UNANSWERED = "commit unanswered"


AT_ONCE = frozenset(Step) - {step for step in Step if step.value.endswith((" lost", " unanswered"))}
"""Nothing else can happen between these failing and the end of the process."""
SYNCHRONOUS = frozenset({Step.APPLY, Step.QUICK_VIEWS, Step.SLOW_VIEWS, Step.COPY, Step.SEGMENTS})
"""While these run the event loop stands still, and no rebalance gets on."""


class How(StrEnum):
    RAISE = "raise"
    DIE = "die"
    RAISE_IN_REBALANCE = "raise once a rebalance has begun"
    WAIT_FOR_REBALANCE = "go on once a rebalance has begun"


class Plan(msgspec.Struct, frozen=True):
    """``step`` fails when it is reached for the ``nth`` time."""

    step: Step
    how: How
    nth: int
    file: str


class Broken(Exception):
    """What fails here."""


class Fault:
    """Counts the steps and fails where the plan says."""

    app: EngineApp
    checkpoint: Checkpoint

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._reached: Counter[Step] = Counter()
        self._struck = False

    def tell(self, event: str, **more: Any) -> None:
        with Path(self._plan.file).open("a") as out:
            out.write(json.dumps({"event": event, **more}) + "\n")

    def is_due(self, step: Step) -> bool:
        if step is not self._plan.step:
            return False
        self._reached[step] += 1
        return self._reached[step] == self._plan.nth

    def now(self, step: Step) -> None:
        """A step that does not give way to the event loop."""
        if self.is_due(step):
            self.at_once()

    def at_once(self) -> None:
        for _ in self._until_rebalanced():
            time.sleep(0.01)
        self._strike()

    async def later(self) -> None:
        """A step during which the event loop goes on."""
        for _ in self._until_rebalanced():
            await asyncio.sleep(0.01)
        self._strike()

    def _until_rebalanced(self) -> Iterator[None]:
        """Yields as long as the step has to wait."""
        if self._plan.how in (How.RAISE, How.DIE):
            return
        self.tell("waiting")
        until_s = time.monotonic() + _LONGEST_WAIT_S
        while not self.app.rebalancing:
            if time.monotonic() > until_s:
                os._exit(NO_REBALANCE)
            yield
        until_s = time.monotonic() + _INTO_THE_REBALANCE_S
        while time.monotonic() < until_s:
            yield

    def _strike(self) -> None:
        positions = [[*tp, offset] for tp, offset in self.checkpoint.positions().items()]
        self._struck = True
        self.tell("struck", positions=positions)
        if self._plan.how is How.DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._plan.how is not How.WAIT_FOR_REBALANCE:
            raise Broken(self._plan.step)

    # -- the parts ----------------------------------------------------------------------------

    def sending(self, send: Callable[..., Awaitable[Awaitable[Any]]]) -> Any:
        async def sent(topic: str, key: bytes, value: bytes | None, *more: Any) -> Awaitable[Any]:
            kind = kind_of(topic, key, value, more[-1])
            if self._struck and kind != "output":
                self.tell("state sent", kind=kind)
            if kind == "":
                return await send(topic, key, value, *more)
            if self._due(kind, "refused"):
                await self.later()
            if self._due(kind, "lost"):
                return asyncio.ensure_future(lost(topic, key, value, *more))
            delivery = await send(topic, key, value, *more)
            if self._due(kind, "unanswered"):
                return asyncio.ensure_future(unanswered(delivery))
            return delivery

        async def lost(*record: Any) -> Any:
            await self.later()
            return await (await send(*record))

        async def unanswered(delivery: Awaitable[Any]) -> Any:
            answer = await delivery
            await self.later()
            return answer

        return sent

    def _due(self, kind: str, how: str) -> bool:
        name = f"{kind} {how}"
        return name in set(Step) and self.is_due(Step(name))

    def processing(self, make: Callable[[Source], Processor]) -> Callable[[Source], Processor]:
        return lambda source: Faulty(make(source), self)


def kind_of(topic: str, key: bytes, value: bytes | None, headers: Any) -> str:
    """The part that a record plays; none for a bar of an open window, which nobody would miss."""
    if ".state." in f".{topic}":
        if value is None:
            return "deletion"
        return "snapshot" if key == SNAPSHOT_KEY else "segment"
    record = codec.decode(value, headers)
    return "" if isinstance(record, Bar) and record.revision == 0 else "output"


class Faulty:
    """A processor whose steps may fail; it applies half of the records then."""

    def __init__(self, processor: Processor, fault: Fault) -> None:
        self._of = processor
        self._fault = fault

    def apply(self, records: Sequence[Incoming]) -> list[Output]:
        if self._fault.is_due(Step.APPLY):
            self._of.apply(records[: len(records) // 2])
            self._fault.at_once()
        return self._of.apply(records)

    def partials(self, *, quick: bool = False) -> list[Output]:
        self._fault.now(Step.QUICK_VIEWS if quick else Step.SLOW_VIEWS)
        return self._of.partials(quick=quick)

    def hot(self) -> bytes:
        self._fault.now(Step.COPY)
        return self._of.hot()

    def take_segments(self) -> dict[str, bytes | None]:
        self._fault.now(Step.SEGMENTS)
        return self._of.take_segments()

    def restore(self, hot: bytes, segments: Mapping[str, bytes]) -> None:
        self._of.restore(hot, segments)


def consumer_with(fault: Fault) -> type[FetchConsumer]:
    class FaultyConsumer(FetchConsumer):
        async def _commit(self, offsets: Mapping[TP, int]) -> bool:
            if fault.is_due(Step.COMMIT_LOST):
                await fault.later()
            committed: bool = await super()._commit(offsets)
            if fault.is_due(Step.COMMIT_UNANSWERED):
                await fault.later()
            return committed

    return FaultyConsumer


def install(fault: Fault) -> None:
    """Wrap what the worker makes."""

    def app(*args: Any, **options: Any) -> EngineApp:
        fault.app = EngineApp(*args, **options)
        return fault.app

    def checkpoint(**parts: Any) -> Checkpoint:
        parts["send"] = fault.sending(parts["send"])
        parts["processor"] = fault.processing(parts["processor"])
        fault.checkpoint = Checkpoint(**parts)
        fault.tell(UP)
        return fault.checkpoint

    worker.EngineApp = app  # type: ignore[attr-defined, assignment, misc]
    worker.Checkpoint = checkpoint  # type: ignore[attr-defined, assignment]
    FetchTransport.Consumer = consumer_with(fault)


def work(plan: Plan, argv: Sequence[str], env: Mapping[str, str], log: str) -> None:
    """Be that worker, in this process; its output goes to the log."""
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(env)
    install(Fault(plan))
    sys.exit(main(argv))


class Forked:
    """A process that is a fork of one in which everything is imported already: a worker has to
    start for every step."""

    def __init__(self, plan: Plan, argv: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        arguments = (plan, list(argv), dict(env), str(log))
        self._process = _FORKS.Process(target=work, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise TimeoutError(f"process {self.pid} has not ended within {timeout} s")
        return code

    def send_signal(self, sig: int) -> None:
        os.kill(self.pid, sig)

    def kill(self) -> None:
        self._process.kill()
