"""The namespaces there are, what went into each, and how to drop one without a trace.

The registry is the collection ``namespaces`` of the MongoDB database ``optionstream``: one document
a namespace, ``_id`` its name. A namespace also shows by its topics and its database, so that what a
crash left half-made or half-dropped is still listed and can be dropped.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import redis as redis_client
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from optionstream.deploy.groups.lag import GroupOffsets
from optionstream.deploy.mongo import mongo_client
from optionstream.deploy.namespaces.registry import Registry
from optionstream.deploy.namespaces.topics import delete_topics, namespaces_in, topics_of
from optionstream.deploy.stack import Addresses
from optionstream.schemas import replays, topics
from optionstream.schemas.connections import redis_options
from optionstream.schemas.errors import ArchiveError, NamespaceError, ServerUnavailable
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace
from optionstream.streams.kafka.admin import admin_client, partition_counts, settle

_SCAN_BATCH = 1_000
_STATIC_MEMBERS_GRACE_S = 4.0

Row = dict[str, Any]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class NamespaceInfo:
    """One line of ``namespaces list``. What the registry does not know is None or empty."""

    name: str
    topics: int
    created_at: datetime | None = None
    sources: list[str] = field(default_factory=list)
    options: Row = field(default_factory=dict)
    counts: Row = field(default_factory=dict)
    code: str | None = None


def list_namespaces(addresses: Addresses) -> list[NamespaceInfo]:
    """Live and sim first, then the replays by the time of their making."""
    with mongo_client(addresses.mongo) as client:
        rows = Registry(client).rows()
        databases = client.list_database_names()
    existing = partition_counts(admin_client(addresses.kafka))
    by_topic = namespaces_in(existing)
    names = set(rows) | set(by_topic) | _names_of_databases(databases)
    found = [_info(name, rows.get(name, {}), len(by_topic.get(name, ()))) for name in names]
    return sorted(found, key=_order)


def drop_namespace(
    addresses: Addresses, name: str, settings: Settings, tell: Tell = lambda text: None
) -> None:
    """Remove topics, groups, database, Redis keys, audit archive, features, worker logs and the
    registry's entry.

    Raises NamespaceError for live and sim, for a namespace that does not exist, and for one whose
    workers still run. What failed half-way can be dropped again.
    """
    namespace = droppable(name)
    known = [info.name for info in list_namespaces(addresses)]
    if name not in known:
        raise NamespaceError(unknown_namespace(name, known))
    admin = admin_client(addresses.kafka)
    _await_no_members(addresses.kafka, namespace, settings, tell)
    existing = topics_of(namespace, partition_counts(admin))
    tell(f"deleting {len(existing)} topics")
    delete_topics(admin, existing)
    _delete_groups(admin, namespace)
    with mongo_client(addresses.mongo) as client:
        tell(f"dropping the database {namespace.mongo_db}")
        client.drop_database(namespace.mongo_db)
        keys = _delete_keys(addresses.redis, namespace)
        tell(f"deleted {keys} Redis keys")
        for what, folder in (
            ("audit archive", settings.archive_folder(namespace.name)),
            ("features", settings.features_folder(namespace.name)),
        ):
            if folder.exists():
                tell(f"deleting the {what} {folder}")
                _remove_folder(what, folder)
        shutil.rmtree(settings.worker_folder(namespace.name), ignore_errors=True)
        Registry(client).remove(name)


def refuse_under_way(addresses: Addresses, name: str) -> None:
    """Raises NamespaceError while a process replays into the namespace."""
    with mongo_client(addresses.mongo) as client:
        row = Registry(client).one(name) or {}
    if replays.state_of(row) in replays.UNDER_WAY:
        raise NamespaceError(
            f"replay {name} is under way: end it first, with `optionstream replay stop {name}`"
        )


def droppable(name: str) -> Namespace:
    """The replay of that name; live and sim are refused."""
    namespace = Namespace.parse(name)
    if namespace.is_live:
        raise NamespaceError(f"namespace {name} is not a replay: it is never dropped")
    return namespace


def unknown_namespace(name: str, known: list[str]) -> str:
    """The complaint about a name nobody made, with the names there are."""
    there = ", ".join(known) if known else "none yet"
    return f"there is no namespace {name}; there are: {there}"


def _names_of_databases(databases: list[str]) -> set[str]:
    prefix = Namespace("x").mongo_db[:-1]
    return {name.removeprefix(prefix) for name in databases if name.startswith(prefix)}


def _info(name: str, row: Row, topic_count: int) -> NamespaceInfo:
    return NamespaceInfo(
        name=name,
        topics=topic_count,
        created_at=row.get("created_at"),
        sources=list(row.get("sources", ())),
        options=dict(row.get("options", {})) | {"state": replays.state_of(row)} if row else {},
        counts=dict(row.get("counts", {})),
        code=row.get("code"),
    )


def _order(info: NamespaceInfo) -> tuple[int, float, str]:
    first = {topics.LIVE: 0, topics.SIM: 1}.get(info.name, 2)
    return first, info.created_at.timestamp() if info.created_at else 0.0, info.name


def _await_no_members(kafka: str, namespace: Namespace, settings: Settings, tell: Tell) -> None:
    """A stopped worker stays a (static) member until its session times out: give it that long."""
    groups = GroupOffsets(kafka, namespace)
    patience_s = settings.session_timeout_ms / 1000 + _STATIC_MEMBERS_GRACE_S
    deadline_s = time.monotonic() + patience_s
    told = False
    while occupied := [group for group in topics.ALL_GROUPS if groups.members(group)]:
        if time.monotonic() > deadline_s:
            raise NamespaceError(
                f"workers of namespace {namespace.name} still run ({', '.join(occupied)}): "
                f"stop them first"
            )
        if not told:
            tell("waiting for the workers' sessions to end")
            told = True
        time.sleep(0.3)


def _delete_groups(admin: AdminClient, namespace: Namespace) -> None:
    names = [namespace.group(group) for group in topics.ALL_GROUPS]
    for future in admin.delete_consumer_groups(names).values():
        settle(future, fine=KafkaError.GROUP_ID_NOT_FOUND)


def _remove_folder(what: str, folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise ArchiveError(f"{what} {folder}: {error.strerror or error}") from None


def _delete_keys(url: str, namespace: Namespace) -> int:
    deleted = 0
    try:
        with redis_client.Redis.from_url(**redis_options(url)) as client:
            batch: list[Any] = []
            for key in client.scan_iter(match=namespace.redis("*"), count=_SCAN_BATCH):
                batch.append(key)
                if len(batch) == _SCAN_BATCH:
                    deleted += int(client.unlink(*batch))
                    batch = []
            if batch:
                deleted += int(client.unlink(*batch))
    except redis_client.RedisError as error:
        raise ServerUnavailable(f"redis: {error}") from None
    return deleted
