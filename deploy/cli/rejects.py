"""``rejects``: list what was refused, show one, send them again."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import JsonOption
from optionstream.schemas.errors import NamespaceError, UsageError
from optionstream.schemas.rejects import MEANING
from optionstream.schemas.topics import LIVE, MARKET_TOPICS, REJECTS, Namespace

if TYPE_CHECKING:
    from optionstream.deploy.rejects.log import Choice
    from optionstream.deploy.rejects.redrive import Result
    from optionstream.deploy.stack import Addresses
    from optionstream.schemas.derived import Reject

NamespaceOption = Annotated[str, typer.Option(help="Whose rejects.")]
ReasonOption = Annotated[
    str | None, typer.Option(metavar="REASON", help="Only of this reason, such as bad_price.")
]
TopicOption = Annotated[
    str | None,
    typer.Option(metavar="TOPIC", help="Only from this topic, such as market.underlying."),
]
ProductOption = Annotated[str | None, typer.Option(help="Only of this product.")]

_COLUMNS = ("id", "time", "reason", "product", "events", "attempts", "detail")
_RESULT_COLUMNS = ("id", "reason", "outcome", "detail")
_SHOWN_BYTES = 2_000
_BAD_OUTCOMES = ("being sent", "cannot be sent")


def list_(
    reason: ReasonOption = None,
    topic: TopicOption = None,
    product: ProductOption = None,
    limit: Annotated[int | None, typer.Option("-n", min=1, help="Only the newest so many.")] = None,
    namespace: NamespaceOption = LIVE,
    as_json: JsonOption = False,
) -> None:
    """What was refused, the oldest first.

    The id names topic, partition and offset of the record, and the reason. Attempts tells how
    often it had been sent again before it was refused here.

    \b
    Examples:
      optionstream rejects list
      optionstream rejects list --reason unknown_schema --namespace october -n 20
      optionstream rejects list --json | jq -r .reason | sort | uniq -c
    """
    choice = _choice([], reason, topic, product)
    servers, name = _where(namespace, "kafka")
    rows = sorted((_row(one) for one in _read(servers, name, choice)), key=_by_time)
    output.print_rows("", _COLUMNS, rows[-limit:] if limit else rows, as_json)
    if not rows:
        output.note(f"no rejects in namespace {name.name}")


def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `rejects list` tells it.")],
    namespace: NamespaceOption = LIVE,
    as_json: JsonOption = False,
) -> None:
    """One reject: its record, decoded where it can be, and what led to it.

    The causes are the rejects of the same record before it was sent again, the first first.

    \b
    Examples:
      optionstream rejects show 'market.underlying|3|1207|bad_price|4'
      optionstream rejects show 'market.underlying|3|1207|bad_price|4' --json | jq .record
    """
    from optionstream.deploy.rejects.log import chain_of
    from optionstream.schemas.rejects import causes

    servers, name = _where(namespace, "kafka")
    found = list(_read(servers, name, _choice([id_], None, None, None)))
    if not found:
        raise UsageError(f"there is no reject {id_} in namespace {name.name}: see `rejects list`")
    reject = max(found, key=lambda one: one.record_ts)
    before = causes(reject.headers)
    known = list(_read(servers, name, _choice(before, None, None, None))) if before else []
    chain = [
        {"id": one, "reason": there.reason if there else None, "time": _time(there)}
        for one, there in chain_of(reject, known)
    ]
    row = _full(reject, chain)
    if as_json:
        output.print_json(row)
        return
    for field, value in row.items():
        output.print_line(f"{field}: {_text(value)}")


def redrive(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="As `rejects list` tells them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every reject there is.")] = False,
    reason: ReasonOption = None,
    topic: TopicOption = None,
    product: ProductOption = None,
    normalise: Annotated[
        bool,
        typer.Option(
            "--normalise",
            help="Decode and encode with the present code: key, topic and partition are made anew.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing, tell what.")] = False,
    namespace: NamespaceOption = LIVE,
    as_json: JsonOption = False,
) -> None:
    """Send refused records again, each reject once.

    The same bytes to the same place (of a frame only what was refused), with headers that name
    the reject; --normalise mends key, topic and partition. A second redrive of the same reject
    sends nothing, also after one that was interrupted. What is refused again is a new reject.

    Exit code 1 when something chosen could not be sent.

    \b
    Examples:
      optionstream rejects redrive --reason unknown_schema --dry-run
      optionstream rejects redrive --reason key_mismatch --normalise --namespace october
      optionstream rejects redrive 'market.underlying|3|1207|bad_price|4'
    """
    chosen = _choice(ids or [], reason, topic, product)
    if not (everything or ids or reason or topic or product):
        raise UsageError("which rejects? Name ids, --reason, --topic or --product, or say --all")
    servers, name = _where(namespace, "kafka", "mongo")
    rows, outcomes, seen = [], Counter[str](), set()
    for result in _results(servers, name, chosen, normalise, dry_run):
        outcomes[result.outcome] += 1
        seen.add(result.reject.id)
        row = _result_row(result)
        if as_json:
            output.print_json(row)
        else:
            rows.append(row)
    output.print_table("", _RESULT_COLUMNS, rows)
    unknown = sorted(chosen.ids - seen)
    for one in unknown:
        output.note(f"there is no such reject: {one}")
    told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    output.note(told or f"no such rejects in namespace {name.name}")
    if unknown or any(outcomes[outcome] for outcome in _BAD_OUTCOMES):
        raise typer.Exit(1)


def _results(
    servers: Addresses, name: Namespace, choice: Choice, normalise: bool, dry_run: bool
) -> Iterator[Result]:
    from optionstream.deploy.clients import mongo_client
    from optionstream.deploy.rejects.ledger import Ledger
    from optionstream.deploy.rejects.redrive import Redrive

    with mongo_client(servers.mongo) as client:
        ledger = Ledger(client, name)
        with Redrive(servers.kafka, name, ledger, normalise=normalise, dry_run=dry_run) as sending:
            yield from sending.send(_read(servers, name, choice))


def _choice(
    ids: Iterable[str], reason: str | None, topic: str | None, product: str | None
) -> Choice:
    from optionstream.deploy.rejects.log import Choice

    if reason is not None and reason not in MEANING:
        raise UsageError(f"--reason {reason}: there is {', '.join(MEANING)}")
    if topic is not None and topic not in MARKET_TOPICS:
        raise UsageError(f"--topic {topic}: use {', '.join(MARKET_TOPICS)}")
    return Choice(frozenset(ids), reason, topic, product)


def _where(namespace: str, *servers: str) -> tuple[Addresses, Namespace]:
    """The servers, and a namespace that has a topic of rejects."""
    from optionstream.deploy.namespaces.catalogue import unknown_namespace
    from optionstream.deploy.namespaces.topics import namespaces_in
    from optionstream.deploy.stack import Server
    from optionstream.streams.kafka.admin import admin_client, partition_counts

    name = Namespace.parse(namespace)
    found = context.addresses(context.settings(), *(Server(server) for server in servers))
    existing = partition_counts(admin_client(found.kafka))
    if name.topic(REJECTS) not in existing:
        known = list(namespaces_in(existing))
        raise NamespaceError(unknown_namespace(name.name, known))
    return found, name


def _read(servers: Addresses, name: Namespace, choice: Choice) -> Iterator[Reject]:
    from optionstream.deploy.rejects.log import read_rejects

    return read_rejects(servers.kafka, name, choice)


def _row(reject: Reject) -> dict[str, Any]:
    from optionstream.deploy.rejects.log import product_of
    from optionstream.schemas.rejects import causes

    return {
        "id": reject.id,
        "time": _time(reject),
        "reason": reject.reason,
        "product": product_of(reject),
        "topic": reject.topic,
        "partition": reject.partition,
        "offset": reject.offset,
        "events": reject.events,
        "attempts": len(causes(reject.headers)),
        "detail": reject.detail,
        "record_ts": reject.record_ts,
    }


def _by_time(row: dict[str, Any]) -> tuple[int, str, int, int]:
    return row["record_ts"], row["topic"], row["partition"], row["offset"]


def _full(reject: Reject, chain: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything, ``record`` decoded; else ``record`` is null, with ``record_reason`` and the
    bytes as ``raw`` (text, or base64 behind ``base64:``)."""
    import msgspec

    from optionstream.deploy.rejects.log import decoded
    from optionstream.schemas.errors import RecordError

    record = decoded(reject)
    failed = isinstance(record, RecordError)
    return {
        **_row(reject),
        "indices": reject.indices,
        "key": _as_text(reject.raw_key),
        "headers": [[name, _as_text(value)] for name, value in reject.headers],
        "record": None if failed else msgspec.to_builtins(record),
        "record_reason": str(record) if failed else None,
        "raw": _as_text(reject.raw) if failed else None,
        "causes": chain,
    }


def _as_text(data: bytes | None) -> str | None:
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(data).decode()


def _text(value: Any) -> str:
    import msgspec

    if value is None:
        return "–"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text) <= _SHOWN_BYTES:
        return text
    return f"{text[:_SHOWN_BYTES]}… ({len(text):,} characters; all with --json)"


def _time(reject: Reject | None) -> str | None:
    """When the record was received; None where its stamp is none."""
    from optionstream.schemas.times import rfc3339

    if reject is None or not 0 <= reject.record_ts <= 253_402_214_400_000:
        return None
    return rfc3339(reject.record_ts)


def _result_row(result: Result) -> dict[str, Any]:
    return {
        "id": result.reject.id,
        "reason": result.reject.reason,
        "outcome": result.outcome,
        "detail": result.detail,
    }
