"""The registry of replays: an entry for each namespace, and the commands to a running replay.

The shape of an entry is in schemas/replays.py.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pymongo
from pymongo.errors import DuplicateKeyError

from optionstream.schemas import replays
from optionstream.schemas.errors import (
    NamespaceError,
    OptionstreamError,
    ReplayRefused,
    ServerUnavailable,
)
from optionstream.schemas.replays import Answer, Command, State

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_DEAD_BEFORE = {"$subtract": ["$$NOW", int(replays.DEAD_AFTER_S * 1000)]}
"""An expression of the server's time: a replay whose last beat was earlier is dead."""

Row = dict[str, Any]


class TakenOver(OptionstreamError):
    """Another process started a replay into this namespace, or its entry was removed."""


class Registry:
    """The entries of all namespaces. Every method raises PyMongoError when MongoDB fails."""

    def __init__(self, client: pymongo.MongoClient[Row]) -> None:
        self._rows = client[replays.DATABASE][replays.COLLECTION]

    def start_run(self, name: str, sources: Sequence[str], options: Row, manifest: Row) -> str:
        """Record that a replay starts; return the id of this run.

        A second run into the same namespace adds its sources; the manifest of the first moves to
        ``earlier``. Raises NamespaceError while another process replays into the namespace.
        """
        run = uuid4().hex
        self._claim(name, run)
        before = self._rows.find_one({"_id": name}, {"manifest": 1}) or {}
        push: Row = {"sources": {"$each": list(sources)}}
        if "manifest" in before:
            push["earlier"] = before["manifest"]
        self._rows.update_one(
            {"_id": name, "run": run},
            {
                "$push": push,
                "$set": {
                    "options": options,
                    "manifest": manifest,
                    "code": manifest["code"],
                    "host": platform.node(),
                    "pid": os.getpid(),
                    "progress": {"state": State.STARTING},
                    "commands": [],
                    "answers": [],
                },
                "$unset": {"error": ""},
            },
        )
        return run

    def _claim(self, name: str, run: str) -> None:
        """Take the entry, in one step, unless a running replay has it."""
        mine = {"run": run, "state": State.RUNNING}
        now = datetime.now(UTC)
        try:
            self._rows.insert_one({"_id": name, "created_at": now, "beat_at": now, **mine})
            return
        except DuplicateKeyError:
            pass  # an earlier run made the entry
        quiet = {"$lt": [{"$ifNull": ["$beat_at", _LONG_AGO]}, _DEAD_BEFORE]}
        free = {"$or": [{"state": {"$ne": State.RUNNING}}, {"$expr": quiet}]}
        taken = self._rows.update_one(
            {"_id": name, **free}, {"$set": mine, "$currentDate": {"beat_at": True}}
        )
        if not taken.matched_count:
            row = self.entry(name) or {}
            raise NamespaceError(
                f"a replay into namespace {name} is under way (pid {row.get('pid')} on "
                f"{row.get('host')}): wait, stop it with `optionstream replay stop {name}`, or "
                "choose another name"
            )

    def send_heartbeat(
        self, name: str, run: str, progress: Row, answers: Sequence[Answer]
    ) -> list[Row]:
        """Store a run's progress and its answers to commands; return the unanswered commands.

        Raises TakenOver when the entry is no longer this run's.
        """
        update: Row = {"$set": {"progress": progress}, "$currentDate": {"beat_at": True}}
        if answers:
            given = [{"id": one.id, "ok": one.ok, "text": one.text} for one in answers]
            update["$push"] = {"answers": {"$each": given, "$slice": -replays.MOST_ANSWERS}}
            update["$pull"] = {"commands": {"id": {"$in": [one.id for one in answers]}}}
        found = self._rows.find_one_and_update(
            {"_id": name, "run": run},
            update,
            projection={"commands": 1},
            return_document=pymongo.ReturnDocument.AFTER,
        )
        if found is None:
            raise TakenOver(f"namespace {name} was taken over by another replay, or dropped")
        return list(found.get("commands", ()))

    def end_run(self, name: str, run: str, state: State, changes: Row) -> None:
        """Record how a run ended; ``changes`` are further fields of the entry, dotted."""
        self._rows.update_one({"_id": name, "run": run}, {"$set": {"state": state, **changes}})

    def entries(self) -> dict[str, Row]:
        """Return all entries by name, in the order of their creation."""
        return {str(row["_id"]): row for row in self._rows.aggregate(replays.read_stages())}

    def entry(self, name: str) -> Row | None:
        """Return the entry of a namespace; None if it has none."""
        return next(iter(self._rows.aggregate(replays.read_stages(name))), None)

    def remove_entry(self, name: str) -> None:
        """Remove the entry of a namespace, if it has one."""
        self._rows.delete_one({"_id": name})

    def send_command(self, name: str, command: Command) -> Answer:
        """Send a command to a running replay and return its answer.

        Raises NamespaceError for an unknown id, ReplayRefused for a replay that does not run or
        refuses, ServerUnavailable when it does not answer.
        """
        row = self.entry(name)
        if row is None:
            raise NamespaceError(replays.unknown(name, list(self.entries())))
        refusal = replays.refusal(name, replays.state_of(row))
        if refusal is not None:
            raise ReplayRefused(refusal)
        posted = replays.posted(uuid4().hex, command)
        self._rows.update_one({"_id": name}, {"$push": {"commands": posted}})
        return self._await_answer(name, posted["id"])

    def _await_answer(self, name: str, id_: str) -> Answer:
        deadline_s = time.monotonic() + replays.ANSWER_WITHIN_S
        while time.monotonic() < deadline_s:
            time.sleep(replays.LOOK_EVERY_S)
            fields = {"answers": 1, "state": 1, "progress.state": 1}
            found = self._rows.find_one({"_id": name}, fields) or {}
            if (
                found.get("progress", {}).get("state") == State.STARTING
            ):  # commands wait until it plays
                deadline_s = time.monotonic() + replays.ANSWER_WITHIN_S
            for answer in found.get("answers", ()):
                if answer["id"] == id_:
                    if not answer["ok"]:
                        raise ReplayRefused(answer["text"])
                    return Answer(id_, True, answer["text"])
            if found.get("state") != State.RUNNING:
                raise ReplayRefused(f"replay {name} ended before it received this command")
        raise ServerUnavailable(
            f"replay {name} has not answered for {replays.ANSWER_WITHIN_S:.0f} s: see "
            f"`optionstream replay status {name}`"
        )
