"""A running replay steered from outside: what it shows, and what becomes of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from optionstream.api.app import create_app
from optionstream.api.stores import Stores
from optionstream.producers.feeds.session_file import header_for, write_session
from optionstream.producers.playback.pieces import reach_of
from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.schemas import codec
from optionstream.schemas.times import to_ms
from optionstream.schemas.topics import MARKET_TOPICS, Namespace
from optionstream.streams.kafka.topic_reader import TopicReader
from tests.harness.commands import DAY, Cli, leftovers, session_of, wait_for, workers_of
from tests.harness.replays import has_begun, in_state, replaying, settled, status

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

ROUTES = ("underlying", "chain", "pcr", "expiries", "ohlc", "gaps")
MOMENTS = ("timestamp", "received", "start", "known_at")
"""Fields of answers that say of when something is; a bar's end may lie ahead."""


def at(clock: str) -> int:
    return to_ms(datetime.fromisoformat(f"{DAY}T{clock}+05:30"))


@contextmanager
def interface(cli: Cli, name: str) -> Iterator[TestClient]:
    where = cli.addresses
    stores = Stores.connect(mongo=where.mongo, redis=where.redis, namespace=Namespace(name))
    with TestClient(create_app(stores, Namespace(name))) as client:
        yield client


def published_times(cli: Cli, name: str) -> list[int]:
    """Event times of everything in the market topics of a namespace."""
    found: list[int] = []
    with TopicReader(cli.addresses.kafka, Namespace(name)) as reader:
        for topic in MARKET_TOPICS:
            for batch in reader.read(topic, reader.bounds(topic)):
                for record in batch:
                    event: Any = codec.decode(record.value, record.headers)
                    found += reach_of(event)
    return found


def told_moments(found: Any) -> list[int]:
    """Every moment in an answer."""
    if isinstance(found, list):
        return [one for part in found for one in told_moments(part)]
    if not isinstance(found, dict):
        return []
    mine = [to_ms(datetime.fromisoformat(found[key])) for key in MOMENTS if found.get(key)]
    return mine + [one for part in found.values() for one in told_moments(part)]


def answers(client: TestClient) -> dict[str, Any]:
    """What every data route says."""
    found = {}
    for route in ROUTES:
        answer = client.get(f"/api/data/{route}/NIFTY")
        found[route] = answer.json() if answer.status_code == 200 else None
    return found | {"products": client.get("/api/products").json()["products"]}


def test_a_paused_replay_shows_nothing_beyond_its_clock(
    cli: Cli, name: str, tmp_path: Path
) -> None:
    """Paused from the start, sought, stepped, let go over the interface: at each halt what is in
    Kafka and what the interface says end at the clock, and verify finds no difference."""
    path = session_of(tmp_path / "day.jsonl.zst", minutes=6)
    with replaying(cli, path, "--namespace", name, "--paused") as process:
        wait_for(lambda: in_state(cli, name, "paused"), "pause", 180)
        assert published_times(cli, name) == []

        cli.good("replay", "seek", name, f"{DAY}T09:18:10")
        wait_for(lambda: settled(cli, name), "halt", 180)
        halted_ms = at("09:18:10")
        assert status(cli, name)["clock"] == f"{DAY}T09:18:10+05:30"
        times = published_times(cli, name)
        assert halted_ms - 2_000 < max(times) <= halted_ms
        assert cli("verify", name).code == 0
        with interface(cli, name) as client:
            shown = answers(client)
            assert shown["underlying"] and shown["chain"] and shown["ohlc"]["bars"]
            assert max(told_moments(shown)) <= halted_ms
            assert all(
                bar["end"] <= bar["known_at"] for bar in shown["ohlc"]["bars"] if bar["final"]
            )

            events = status(cli, name)["events"]
            cli.good("replay", "step", name, 3)
            wait_for(lambda: status(cli, name)["events"] == events + 3, "3 events")
            stepped = to_ms(datetime.fromisoformat(status(cli, name)["clock"]))
            assert max(published_times(cli, name)) <= stepped

            ran = cli("replay", "seek", name, f"{DAY}T09:16:00")
            assert (ran.code, "Start a new replay" in ran.complaint) == (2, True)
            refused = client.post(
                f"/api/replays/{name}/commands",
                json={"command": "seek", "to": f"{DAY}T09:16:00+05:30"},
            )
            assert (refused.status_code, refused.json()["code"]) == (409, "replay_refused")
            let_go = client.post(f"/api/replays/{name}/commands", json={"command": "resume"})
            assert let_go.status_code == 200, let_go.text
            assert client.get(f"/api/replays/{name}").json()["state"] in ("running", "draining")
        _, err = process.communicate(timeout=90)
        assert process.returncode == 0, err
    done = status(cli, name)
    assert done["state"] == "complete"
    manifest = done["manifest"]
    assert manifest["range"]["last"] == done["clock"]
    assert manifest["counts"]["namespace_accepted"] == done["events"]
    assert {one["schema"] for one in manifest["schemas"]} == {
        "tick_frame:1", "chain_snapshot:1", "heartbeat:1",
    }  # fmt: skip
    assert manifest["settings"]["iv_mode"] == "black76"
    assert cli("verify", name).code == 0
    ran = cli("replay", "pause", name)
    assert (ran.code, "has ended (complete)" in ran.complaint) == (2, True)


def test_two_replays_side_by_side_and_what_kill_9_leaves(
    cli: Cli, name: str, tmp_path: Path
) -> None:
    """One is killed, the other stopped by command: the killed one is told as dead, takes no
    command, its workers end by themselves, and it can be dropped; neither touches the other."""
    path = session_of(tmp_path / "day.jsonl.zst", minutes=10)
    other = f"t-{uuid4().hex[:8]}"
    with (
        replaying(cli, path, "--namespace", name, "--speed", "3") as kept,
        replaying(cli, path, "--namespace", other, "--speed", "3") as killed,
    ):
        for one in (name, other):
            wait_for(lambda one=one: has_begun(cli, one), "events", 180)  # type: ignore[misc]
        ran = cli("replay", path, "--namespace", other)
        assert (ran.code, "is under way" in ran.complaint) == (2, True)
        ran = cli("replay", "drop", other)
        assert (ran.code, "replay stop" in ran.complaint) == (2, True)
        killed.send_signal(signal.SIGKILL)
        wait_for(lambda: in_state(cli, other, "dead"), "death told", 20)
        wait_for(lambda: not workers_of(other), "its workers to end", 180)
        ran = cli("replay", "seek", other, "2026-01-06T15:00:00")
        assert (ran.code, "is dead" in ran.complaint) == (2, True)
        assert cli("replay", "drop", other).code == 0
        assert leftovers(cli, Namespace(other)) == {}

        cli.good("replay", "stop", name)
        kept.communicate(timeout=90)
        assert kept.returncode == 0
    assert status(cli, name)["state"] == "stopped"
    assert cli("verify", name).code == 0


def test_a_pace_into_a_namespace_with_records_is_refused(
    cli: Cli, name: str, tmp_path: Path
) -> None:
    path = session_of(tmp_path / "day.jsonl.zst", minutes=2)
    cli.good("replay", path, "--namespace", name)
    for options in (["--speed", "60"], ["--paused"]):
        ran = cli("replay", path, "--namespace", name, *options)
        assert (ran.code, "new namespace" in ran.complaint) == (2, True)
    assert status(cli, name)["state"] == "complete"


def test_files_of_different_products_go_side_by_side_at_a_pace(
    cli: Cli, name: str, tmp_path: Path
) -> None:
    """Two files over the same minutes: paused in the middle, both are there, neither is ahead."""
    paths = []
    for product in ("NIFTY", "BANKNIFTY"):
        config = SimulationConfig(
            seed=3, date=DAY, products=(product,), open_ms=at("09:15:00"),
            close_ms=at("09:19:00"), session_label=product,
        )  # fmt: skip
        paths.append(tmp_path / f"{product}.jsonl.zst")
        write_session(
            paths[-1], header_for((product,), config.described()), SimulatedMarket(config).events()
        )
    with replaying(cli, *paths, "--namespace", name, "--paused"):
        wait_for(lambda: in_state(cli, name, "paused"), "pause", 180)
        cli.good("replay", "seek", name, f"{DAY}T09:17:00")
        wait_for(lambda: settled(cli, name), "halt", 180)
        with interface(cli, name) as client:
            rows = client.get("/api/products").json()["products"]
        moments = {row["product"]: to_ms(datetime.fromisoformat(row["timestamp"])) for row in rows}
        assert set(moments) == {"NIFTY", "BANKNIFTY"}
        for moment in moments.values():
            assert at("09:16:50") < moment <= at("09:17:00")
    assert not workers_of(name)
