"""Members of a consumer group: when they have their partitions, and when they are gone."""

from __future__ import annotations

import time

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

_LOOK_S = 0.02
_LONGEST_S = 120.0


def await_assigned(admin: AdminClient, group: str, members: int) -> None:
    """Until so many members of a stable group have partitions; RuntimeError after two minutes."""
    deadline = time.monotonic() + _LONGEST_S
    while not _assigned(admin, group, members):
        if time.monotonic() > deadline:
            raise RuntimeError(f"group {group} has not got its partitions in {_LONGEST_S:g} s")
        time.sleep(_LOOK_S)


def members(admin: AdminClient, group: str) -> int:
    """How many there are, dead ones that the group still holds included."""
    return len(admin.describe_consumer_groups([group])[group].result(timeout=30).members)


def await_empty(admin: AdminClient, group: str) -> None:
    """Until the last (dead) member's session has timed out; RuntimeError after two minutes."""
    deadline = time.monotonic() + _LONGEST_S
    while members(admin, group):
        if time.monotonic() > deadline:
            raise RuntimeError(f"group {group} still has a member after {_LONGEST_S:g} s")
        time.sleep(_LOOK_S)


def _assigned(admin: AdminClient, group: str, members: int) -> bool:
    try:
        found = admin.describe_consumer_groups([group])[group].result(timeout=30)
    except KafkaException:
        return False  # nobody has joined yet, or the coordinator is being made
    having = [one for one in found.members if one.assignment.topic_partitions]
    return found.state == ConsumerGroupState.STABLE and len(having) == members
