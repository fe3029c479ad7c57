"""How far Redis has been brought, kept in Redis: values and positions are lost together.

A commit in Kafka says what was written once. Redis may have been emptied since, or have come back
from an older copy; then its own positions say so, and everything after them is written again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import cast

import redis
from confluent_kafka import OFFSET_BEGINNING

from optionstream.schemas.newer_wins import Moves
from optionstream.streams.sinks.latest.newer_wins import position_differs
from optionstream.streams.sinks.loop.contract import Assigned

Place = tuple[str, int]
"""A topic's full name and a partition."""


class Positions:
    """The positions of the partitions that this worker was given: a hash at ``key``, with
    ``<topic>/<partition>`` → ``<topic's id> <next offset>``."""

    def __init__(self, client: redis.Redis, key: str) -> None:
        self._client = client
        self._key = key
        self._ids: dict[Place, str] = {}
        self._held: dict[Place, str] = {}
        """What Redis should hold."""

    def start_partitions(self, assigned: Sequence[Assigned]) -> Mapping[Place, int]:
        """Where to begin each partition: at an offset that was set by hand, else at its position,
        else at the beginning. These are its positions from now on. Raises redis.RedisError."""
        self._ids = {one.key: one.topic.id for one in assigned}
        self._held = {}
        if not assigned:
            return {}
        stored = self._read(list(self._ids))
        begin = {
            one.key: _offset(stored[one.key], one.topic.id) if one.asked is None else one.asked
            for one in assigned
        }
        held = {place: self._value(place, offset) for place, offset in begin.items()}
        self._client.hset(self._key, mapping={_field(at): value for at, value in held.items()})
        self._held = held
        return begin

    def plan_moves(self, reached: Mapping[Place, int]) -> Moves:
        """Everything before these offsets is about to be written: how the positions move on."""
        values = {place: self._value(place, offset) for place, offset in reached.items()}
        return Moves(
            self._key,
            {
                _field(place): (self._held[place], value)
                for place, value in values.items()
                if value != self._held[place]
            },
        )

    def note_moved(self, reached: Mapping[Place, int]) -> None:
        """They have moved there."""
        for place, offset in reached.items():
            self._held[place] = self._value(place, offset)

    def check_stored(self) -> None:
        """Raises StartAgain when Redis does not hold what it was told, redis.RedisError."""
        for place, value in self._read(list(self._held)).items():
            if value != self._held[place]:
                raise position_differs(_field(place))

    def _read(self, places: Sequence[Place]) -> dict[Place, str | None]:
        if not places:
            return {}
        values = self._client.hmget(self._key, [_field(place) for place in places])
        found = cast(list[bytes | None], values)
        return {
            place: None if value is None else value.decode()
            for place, value in zip(places, found, strict=True)
        }

    def _value(self, place: Place, offset: int) -> str:
        return f"{self._ids[place]} {offset}"


def set_positions(
    client: redis.Redis, key: str, offsets: Mapping[Place, int], ids: Mapping[str, str]
) -> None:
    """Set where partitions go on; ``ids`` are the topics'. A worker that is there notices and
    begins again at them. Raises redis.RedisError."""
    if offsets:
        client.hset(
            key,
            mapping={_field(place): f"{ids[place[0]]} {at}" for place, at in offsets.items()},
        )


def forget_positions(client: redis.Redis, key: str, places: Collection[Place]) -> None:
    """Let these partitions begin at their beginning. Raises redis.RedisError."""
    if places:
        client.hdel(key, *map(_field, places))


def _field(place: Place) -> str:
    return f"{place[0]}/{place[1]}"


def _offset(stored: str | None, topic_id: str) -> int:
    """The stored offset, unless there is none or another incarnation of the topic was meant."""
    if stored is None:
        return OFFSET_BEGINNING
    known_id, _, offset = stored.rpartition(" ")
    return int(offset) if known_id == topic_id else OFFSET_BEGINNING
