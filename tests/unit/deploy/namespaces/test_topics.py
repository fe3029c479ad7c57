"""Which configuration the topics of a namespace get."""

from __future__ import annotations

from pathlib import Path

import pytest

from optionstream.deploy.namespaces.topics import (
    namespaces_in,
    partitions_of,
    topic_config,
    topics_of,
)
from optionstream.schemas import topics
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace

SETTINGS = Settings(
    data_dir=Path("/nowhere"),
    market_retention_ms=7,
    rejects_retention_ms=30,
    raw_retention_ms=5,
)
LIVE, SIM, MINE = Namespace("live"), Namespace("sim"), Namespace("mine")


@pytest.mark.parametrize(
    ("namespace", "name", "retention_ms"),
    [
        (LIVE, topics.UNDERLYING, "7"),
        (LIVE, topics.OHLC, "7"),
        (SIM, topics.OPTION_CHAIN, "7"),
        (LIVE, topics.REJECTS, "30"),
        (LIVE, topics.RAW_NSE, "5"),
        (MINE, topics.RAW_FILES, "-1"),
        (MINE, topics.UNDERLYING, "-1"),
        (MINE, topics.CHAIN, "-1"),
        (MINE, topics.REJECTS, "-1"),
    ],
)
def test_live_topics_forget_and_a_replays_do_not(
    namespace: Namespace, name: str, retention_ms: str
) -> None:
    config = topic_config(name, namespace, SETTINGS)
    assert config["retention.ms"] == retention_ms
    assert config["cleanup.policy"] == "delete"


@pytest.mark.parametrize("name", topics.STATE_TOPIC_OF.values())
@pytest.mark.parametrize("namespace", [LIVE, MINE])
def test_state_topics_are_compacted_and_keep_every_key(namespace: Namespace, name: str) -> None:
    config = topic_config(name, namespace, SETTINGS)
    assert config["cleanup.policy"] == "compact"
    assert "retention.ms" not in config


def test_only_live_refuses_timestamps_far_ahead() -> None:
    bound = "message.timestamp.after.max.ms"
    assert bound not in topic_config(topics.UNDERLYING, LIVE, SETTINGS)
    for namespace in (SIM, MINE):
        assert topic_config(topics.UNDERLYING, namespace, SETTINGS)[bound] == str(2**63 - 1)


def test_raw_topics_have_one_partition_and_the_others_as_many_as_the_settings_say() -> None:
    counts = {name: partitions_of(name, SETTINGS) for name in topics.ALL_TOPICS}
    assert {name for name, count in counts.items() if count == 1} == set(topics.RAW_TOPICS)
    assert set(counts.values()) == {1, SETTINGS.partitions}


def test_topics_are_told_apart_by_namespace() -> None:
    existing = [
        *(LIVE.topic(name) for name in topics.ALL_TOPICS),
        "sim.market.underlying",
        "replay.mine.rejects",
        "replay.mine-2.rejects",
        "somebody.elses",
        "__consumer_offsets",
    ]
    assert namespaces_in(existing) == {
        "live": sorted(topics.ALL_TOPICS),
        "sim": ["sim.market.underlying"],
        "mine": ["replay.mine.rejects"],
        "mine-2": ["replay.mine-2.rejects"],
    }
    assert topics_of(MINE, existing) == ["replay.mine.rejects"]
