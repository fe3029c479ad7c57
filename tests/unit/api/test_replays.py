"""The routes of replays over a registry that is made up, or down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from optionstream.api import examples, models
from optionstream.api.app import create_app
from optionstream.api.mongo_store import MongoDown
from optionstream.api.problems import REPLAY_REFUSED, ProblemError, unknown_replay
from optionstream.api.stores import Stores
from optionstream.schemas.replays import Action, Command, State, describe
from optionstream.schemas.topics import Namespace
from tests.unit.api.fakes import FakeMongo, FakeRedis

TWO = 1_761_553_800_000
"""2025-10-27T14:00:00+05:30"""
ENTRY: dict[str, Any] = {
    "_id": "october",
    "state": "running",
    "beat_age_ms": 40,
    "created_at": datetime(2026, 1, 7, tzinfo=UTC),
    "host": "desk-4",
    "pid": 12,
    "progress": {
        "state": "paused", "clock_ms": 1_761_540_303_000, "speed": 60.0, "records": 5, "events": 9,
        "rate": 0.0, "lag": {"analytics": 0, "latest": None}, "time_left_s": None,
        "time_left_reason": "paused",
    },
}  # fmt: skip


class FakeReplays:
    """A ReplayStore of one entry."""

    def __init__(self) -> None:
        self.down = False
        self.refuses = False
        self.heard: list[Command] = []

    async def close(self) -> None: ...

    async def list_replays(self) -> list[dict[str, Any]]:
        return [await self.get_replay("october")]

    async def get_replay(self, name: str) -> dict[str, Any]:
        if self.down:
            raise MongoDown("no primary")
        if name != "october":
            raise unknown_replay(name, ["october"])
        return describe(ENTRY)

    async def send_command(self, name: str, command: Command) -> str:
        await self.get_replay(name)
        if self.refuses:
            raise ProblemError(409, REPLAY_REFUSED, "step: the replay runs. Pause it first")
        self.heard.append(command)
        return "done"


@pytest.fixture
def store() -> FakeReplays:
    return FakeReplays()


@pytest.fixture
def client(store: FakeReplays) -> TestClient:
    stores = Stores(FakeRedis(), FakeMongo(), store)  # type: ignore[arg-type]
    return TestClient(create_app(stores, Namespace("live")), raise_server_exceptions=False)


def test_a_replay_has_its_clock_and_state(client: TestClient) -> None:
    one = client.get("/api/replays/october").json()
    assert one["state"] == "paused"
    assert one["clock"] == "2025-10-27T10:15:03+05:30"
    assert one["lag"] == {"analytics": 0, "latest": None}
    assert client.get("/api/replays").json() == {"replays": [one]}


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ({"command": "pause"}, Command(Action.PAUSE)),
        ({"command": "step", "events": 5}, Command(Action.STEP, 5)),
        ({"command": "seek", "to": "2025-10-27T14:00:00+05:30"}, Command(Action.SEEK, TWO)),
        ({"command": "seek", "to": TWO}, Command(Action.SEEK, TWO)),
        ({"command": "speed", "speed": 60}, Command(Action.SPEED, 60)),
        ({"command": "speed", "speed": "max"}, Command(Action.SPEED, None)),
        ({"command": "speed", "speed": "realtime"}, Command(Action.SPEED, 1)),
        ({"command": "stop"}, Command(Action.STOP)),
    ],
)  # fmt: skip
def test_commands_reach_the_replay(
    client: TestClient, store: FakeReplays, body: dict[str, Any], command: Command
) -> None:
    answer = client.post("/api/replays/october/commands", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"id": "october", "command": body["command"], "answer": "done"}
    assert store.heard == [command]


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"command": "rewind"}, "command"),
        ({}, "command"),
        ({"command": "step"}, "events"),
        ({"command": "step", "events": 0}, "events"),
        ({"command": "pause", "events": 5}, "events"),
        ({"command": "seek"}, "to"),
        ({"command": "seek", "to": "noon"}, "to"),
        ({"command": "seek", "to": "2025-10-27T14:00:00"}, "to"),
        ({"command": "seek", "to": -5}, "to"),
        ({"command": "speed"}, "speed"),
        ({"command": "speed", "speed": -1}, "speed"),
        ({"command": "speed", "speed": "fast"}, "speed"),
        ({"command": "speed", "speed": 2, "now": True}, "now"),
    ],
)
def test_a_wrong_command_is_a_422_that_points_at_the_member(
    client: TestClient, store: FakeReplays, body: dict[str, Any], parameter: str
) -> None:
    answer = client.post("/api/replays/october/commands", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter"), answer.text
    assert {one["parameter"].split(".")[0] for one in answer.json()["errors"]} == {parameter}
    assert {one["in"] for one in answer.json()["errors"]} == {"body"}
    assert store.heard == []


def test_what_is_not_there_and_what_is_refused_are_problems(
    client: TestClient, store: FakeReplays
) -> None:
    missing = client.get("/api/replays/november")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_replay")
    assert missing.json()["available"] == ["october"]
    store.refuses = True
    refused = client.post("/api/replays/october/commands", json={"command": "step", "events": 1})
    assert (refused.status_code, refused.json()["code"]) == (409, "replay_refused")
    store.down = True
    down = client.get("/api/replays")
    assert (down.status_code, down.json()["down"]) == (503, {"mongodb": "no primary"})
    assert client.get("/api/replays?state=dead").status_code == 422


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, State.PAUSED),
        ({"beat_age_ms": 5_001}, State.DEAD),
        ({"beat_age_ms": None}, State.DEAD),
        ({"progress": {}}, State.STARTING),
        ({"state": "complete", "beat_age_ms": 99_999_999}, State.COMPLETE),
        ({"state": "interrupted"}, State.INTERRUPTED),
        ({"state": None}, None),
    ],
)
def test_a_replay_that_stopped_beating_without_an_end_is_dead(
    changes: dict[str, Any], state: State | None
) -> None:
    assert describe(ENTRY | changes)["state"] == state


def test_the_models_describe_replays_exactly() -> None:
    assert list(models.Replay.model_fields) == list(describe(ENTRY))
    for model, example in (
        (models.Replay, examples.REPLAY),
        (models.Replays, examples.REPLAYS),
        (models.ReplayAnswer, examples.REPLAY_ANSWER),
    ):
        assert set(model.model_validate(example).model_dump()) == set(example)
