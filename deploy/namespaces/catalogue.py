"""The namespaces that exist, what was replayed into each, and how to drop one.

A namespace is known by its entry in the registry, its topics or its database. One that a crash
left half-made or half-dropped is therefore still listed and can be dropped.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from optionstream.deploy.clients import mongo_client, redis_client
from optionstream.deploy.groups.lag import GroupOffsets
from optionstream.deploy.namespaces.registry import Registry
from optionstream.deploy.namespaces.topics import delete_topics, namespaces_in, topics_of
from optionstream.deploy.stack import Addresses
from optionstream.schemas import replays, topics
from optionstream.schemas.errors import ArchiveError, NamespaceError
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace
from optionstream.streams.kafka.admin import admin_client, partition_counts, settle

_SCAN_BATCH = 1_000

Row = dict[str, Any]
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class NamespaceInfo:
    """One line of ``namespaces list``; fields unknown to the registry are None or empty."""

    name: str
    topics: int
    created_at: datetime | None = None
    sources: list[str] = field(default_factory=list)
    options: Row = field(default_factory=dict)
    counts: Row = field(default_factory=dict)
    code: str | None = None


def list_namespaces(addresses: Addresses) -> list[NamespaceInfo]:
    """Return all namespaces: live and sim, then the replays by their creation."""
    with mongo_client(addresses.mongo) as client:
        rows = Registry(client).entries()
        databases = client.list_database_names()
    existing = partition_counts(admin_client(addresses.kafka))
    by_topic = namespaces_in(existing)
    prefix = Namespace("x").mongo_db[:-1]
    with_database = {db.removeprefix(prefix) for db in databases if db.startswith(prefix)}
    names = rows.keys() | by_topic.keys() | with_database
    found = [_info(name, rows.get(name, {}), len(by_topic.get(name, ()))) for name in names]
    return sorted(found, key=_order)


def drop_namespace(
    addresses: Addresses, name: str, settings: Settings, report: Report = lambda text: None
) -> None:
    """Remove a replay's topics, groups, database, Redis keys, files and entry in the registry.

    The files are its audit archive, features and worker logs. Raises NamespaceError for live and
    sim, for a namespace that does not exist, and for one whose workers still run. May be repeated
    after it was interrupted.
    """
    namespace = droppable(name)
    known = [info.name for info in list_namespaces(addresses)]
    if name not in known:
        raise NamespaceError(unknown_namespace(name, known))
    admin = admin_client(addresses.kafka)
    offsets = GroupOffsets(addresses.kafka, namespace)
    occupied = offsets.await_departure(topics.ALL_GROUPS, settings, report)
    if occupied:
        raise NamespaceError(
            f"workers of namespace {namespace.name} still run ({', '.join(occupied)}): "
            f"stop them first"
        )
    existing = topics_of(namespace, partition_counts(admin))
    report(f"deleting {len(existing)} topics")
    delete_topics(admin, existing)
    _delete_groups(admin, namespace)
    with mongo_client(addresses.mongo) as client:
        report(f"dropping the database {namespace.mongo_db}")
        client.drop_database(namespace.mongo_db)
        keys = _delete_keys(addresses.redis, namespace)
        report(f"deleted {keys} Redis keys")
        for what, folder in (
            ("audit archive", settings.archive_folder(namespace.name)),
            ("features", settings.features_folder(namespace.name)),
        ):
            if folder.exists():
                report(f"deleting the {what} {folder}")
                try:
                    shutil.rmtree(folder)
                except OSError as error:
                    reason = error.strerror or error
                    raise ArchiveError(f"{what} {folder}: {reason}") from None
        shutil.rmtree(settings.worker_folder(namespace.name), ignore_errors=True)
        Registry(client).remove_entry(name)


def refuse_under_way(addresses: Addresses, name: str) -> None:
    """Raise NamespaceError while a process replays into the namespace."""
    with mongo_client(addresses.mongo) as client:
        row = Registry(client).entry(name) or {}
    if replays.state_of(row) in replays.UNDER_WAY:
        raise NamespaceError(
            f"replay {name} is under way: end it first, with `optionstream replay stop {name}`"
        )


def droppable(name: str) -> Namespace:
    """Return the replay's namespace of that name; raise NamespaceError for live and sim."""
    namespace = Namespace.parse(name)
    if namespace.is_live:
        raise NamespaceError(f"namespace {name} is not a replay: it is never dropped")
    return namespace


def unknown_namespace(name: str, known: list[str]) -> str:
    """Return the error text for a name that does not exist, with the names that do."""
    there = ", ".join(known) if known else "none yet"
    return f"there is no namespace {name}; there are: {there}"


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


def _delete_groups(admin: AdminClient, namespace: Namespace) -> None:
    names = [namespace.group(group) for group in topics.ALL_GROUPS]
    for future in admin.delete_consumer_groups(names).values():
        settle(future, fine=KafkaError.GROUP_ID_NOT_FOUND)


def _delete_keys(url: str, namespace: Namespace) -> int:
    deleted = 0
    with redis_client(url) as client:
        keys = client.scan_iter(match=namespace.redis("*"), count=_SCAN_BATCH)
        while batch := list(islice(keys, _SCAN_BATCH)):
            deleted += int(client.unlink(*batch))
    return deleted
