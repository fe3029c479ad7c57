"""What was put into which namespace, when, by which version of the code; and what a running replay
is told and says.

The shape of an entry and how it is told are in schemas/replays.py.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pymongo
from pymongo.errors import DuplicateKeyError

import optionstream
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
"""The server's time before which the last beat was a dead replay's, as an expression."""

Row = dict[str, Any]


class TakenOver(OptionstreamError):
    """Another process has begun a replay into this namespace, or its entry was removed."""


class Registry:
    """The entries of all namespaces. Every method raises PyMongoError when MongoDB is away."""

    def __init__(self, client: pymongo.MongoClient[Row]) -> None:
        self._rows = client[replays.DATABASE][replays.COLLECTION]

    def began(self, name: str, sources: Sequence[str], options: Row, manifest: Row) -> str:
        """A replay starts; returns the id of this run. A second one into the same namespace adds
        its sources, and the manifest of the first goes to ``earlier``.

        Raises NamespaceError while another process replays into the namespace.
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
        """Take the entry, in one step, unless a living replay has it."""
        mine = {"run": run, "state": State.RUNNING}
        now = datetime.now(UTC)
        try:
            self._rows.insert_one({"_id": name, "created_at": now, "beat_at": now, **mine})
            return
        except DuplicateKeyError:
            pass  # it has been here before
        quiet = {"$lt": [{"$ifNull": ["$beat_at", _LONG_AGO]}, _DEAD_BEFORE]}
        free = {"$or": [{"state": {"$ne": State.RUNNING}}, {"$expr": quiet}]}
        taken = self._rows.update_one(
            {"_id": name, **free}, {"$set": mine, "$currentDate": {"beat_at": True}}
        )
        if not taken.matched_count:
            row = self.one(name) or {}
            raise NamespaceError(
                f"a replay into namespace {name} is under way (pid {row.get('pid')} on "
                f"{row.get('host')}): wait, stop it with `optionstream replay stop {name}`, or "
                "choose another name"
            )

    def beat(self, name: str, run: str, progress: Row, answers: Sequence[Answer]) -> list[Row]:
        """Say what the running replay does, and what became of commands; returns the commands not
        answered yet. Raises TakenOver when the entry is no longer this run's."""
        update: Row = {"$set": {"progress": progress}, "$currentDate": {"beat_at": True}}
        if answers:
            told = [{"id": one.id, "ok": one.ok, "text": one.text} for one in answers]
            update["$push"] = {"answers": {"$each": told, "$slice": -replays.MOST_ANSWERS}}
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

    def ended(self, name: str, run: str, state: State, changes: Row) -> None:
        """``changes``: further fields of the entry, dotted."""
        self._rows.update_one({"_id": name, "run": run}, {"$set": {"state": state, **changes}})

    def rows(self) -> dict[str, Row]:
        """All entries by name, in the order of their making."""
        return {str(row["_id"]): row for row in self._rows.aggregate(replays.read_stages())}

    def one(self, name: str) -> Row | None:
        return next(iter(self._rows.aggregate(replays.read_stages(name))), None)

    def remove(self, name: str) -> None:
        self._rows.delete_one({"_id": name})

    def command(self, name: str, command: Command) -> Answer:
        """Tell a running replay something and wait for its answer.

        Raises NamespaceError for an id nobody made, ReplayRefused for a replay that is not under
        way or that says no, ServerUnavailable when it does not answer.
        """
        row = self.one(name)
        if row is None:
            raise NamespaceError(replays.unknown(name, list(self.rows())))
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
            if found.get("progress", {}).get("state") == State.STARTING:  # it hears when it plays
                deadline_s = time.monotonic() + replays.ANSWER_WITHIN_S
            for answer in found.get("answers", ()):
                if answer["id"] == id_:
                    return _accepted(Answer(id_, answer["ok"], answer["text"]))
            if found.get("state") != State.RUNNING:
                raise ReplayRefused(f"replay {name} ended before it heard this")
        raise ServerUnavailable(
            f"replay {name} has not answered for {replays.ANSWER_WITHIN_S:.0f} s: see "
            f"`optionstream replay status {name}`"
        )


def code_version() -> str:
    """``0.1.0``, with the commit when this runs from a repository."""
    folder = Path(__file__).resolve().parents[1]
    try:
        asked = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return optionstream.__version__
    commit = asked.stdout.strip() if asked.returncode == 0 else ""
    in_repository = commit and (folder.parent / ".git").exists()
    return f"{optionstream.__version__}+{commit}" if in_repository else optionstream.__version__


def _accepted(answer: Answer) -> Answer:
    if not answer.ok:
        raise ReplayRefused(answer.text)
    return answer
