"""``rejects``: list refused records, show one, send them again."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import DryRunOption, JsonOption, NamespaceOption
from optionstream.schemas.errors import UsageError
from optionstream.schemas.rejects import MEANING
from optionstream.schemas.topics import LIVE, MARKET_TOPICS, REJECTS, Namespace

if TYPE_CHECKING:
    from optionstream.deploy.rejects.log import Choice
    from optionstream.deploy.rejects.redrive import Result
    from optionstream.deploy.stack import Addresses
    from optionstream.schemas.derived import Reject

ReasonOption = Annotated[
    str | None,
    typer.Option(metavar="REASON", help="Only rejects with this reason, such as bad_price."),
]
TopicOption = Annotated[
    str | None,
    typer.Option(metavar="TOPIC", help="Only rejects from this topic: market.underlying, …."),
]
ProductOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only rejects of this product.")
]

_COLUMNS = ("id", "time", "reason", "product", "events", "attempts", "detail")
_RESULT_COLUMNS = ("id", "reason", "outcome", "detail")
_SHOWN_BYTES = 2_000
_BAD_OUTCOMES = ("being sent", "cannot be sent")


def list_(
    reason: ReasonOption = None,
    topic: TopicOption = None,
    product: ProductOption = None,
    limit: Annotated[
        int | None, typer.Option("-n", min=1, metavar="N", help="Only the newest N.")
    ] = None,
    namespace: NamespaceOption = LIVE,
    as_json: JsonOption = False,
) -> None:
    """List refused records, the oldest first.

    An id names topic, partition and offset of the record, and the reason. Attempts counts how
    often it had been sent again before it was refused here.

    \b
    Examples:
      optionstream rejects list
      optionstream rejects list --reason unknown_schema --namespace october -n 20
      optionstream rejects list --json | jq -r .reason | sort | uniq -c
    """
    choice = _choice([], reason, topic, product)
    servers, name = context.open_namespace(namespace, (REJECTS,), context.KAFKA)
    rows = sorted((_row(one) for one in _read(servers, name, choice)), key=_by_time)
    output.print_rows("", _COLUMNS, rows[-limit:] if limit else rows, as_json)
    if not rows:
        output.note(f"no rejects in namespace {name.name}")


def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="An id from `rejects list`.")],
    namespace: NamespaceOption = LIVE,
    as_json: JsonOption = False,
) -> None:
    """Show one reject with its decoded record and its causes.

    Causes are earlier rejects of the same record, before it was sent again; the oldest is first.

    \b
    Examples:
      optionstream rejects show 'market.underlying|3|1207|bad_price|4'
      optionstream rejects show 'market.underlying|3|1207|bad_price|4' --json
    """
    from optionstream.deploy.rejects.log import chain_of
    from optionstream.schemas.rejects import causes

    servers, name = context.open_namespace(namespace, (REJECTS,), context.KAFKA)
    found = list(_read(servers, name, _choice([id_], None, None, None)))
    if not found:
        raise UsageError(f"no reject {id_} in namespace {name.name}: see `rejects list`")
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
        list[str] | None, typer.Argument(metavar="[ID]...", help="Ids from `rejects list`.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Send all rejects.")] = False,
    reason: ReasonOption = None,
    topic: TopicOption = None,
    product: ProductOption = None,
    normalise: Annotated[
        bool,
        typer.Option(
            "--normalise",
            help="Decode and encode with the current code; corrects key, topic, partition.",
        ),
    ] = False,
    dry_run: DryRunOption = False,
    namespace: NamespaceOption = LIVE,
    as_json: JsonOption = False,
) -> None:
    """Send refused records again, each reject once.

    The same bytes go to the same place (of a frame only what was refused), with headers that name
    the reject; --normalise corrects key, topic and partition. A second redrive of a reject sends
    nothing, even if the first was interrupted. What is refused again is a new reject.

    Exit code 1 when a chosen reject could not be sent.

    \b
    Examples:
      optionstream rejects redrive --reason unknown_schema --dry-run
      optionstream rejects redrive --reason key_mismatch --normalise
      optionstream rejects redrive 'market.underlying|3|1207|bad_price|4'
    """
    chosen = _choice(ids or [], reason, topic, product)
    if not (everything or ids or reason or topic or product):
        raise UsageError("which rejects? Name ids, --reason, --topic or --product, or use --all")
    servers, name = context.open_namespace(namespace, (REJECTS,), context.KAFKA, context.MONGO)
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
        output.note(f"no reject {one}: see `rejects list`")
    summary = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    output.note(summary or f"no matching rejects in namespace {name.name}")
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
        raise UsageError(f"--reason {reason}: use {', '.join(MEANING)}")
    if topic is not None and topic not in MARKET_TOPICS:
        raise UsageError(f"--topic {topic}: use {', '.join(MARKET_TOPICS)}")
    return Choice(frozenset(ids), reason, topic, product)


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
    """Return the fields of ``rejects show --json``.

    A ``record`` that cannot be decoded is null, with ``record_reason``, and its bytes in ``raw``
    (text, or base64 after ``base64:``).
    """
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
    """Return the record's time; None if its timestamp is not valid."""
    from optionstream.schemas.times import LAST_MS, rfc3339

    if reject is None or not 0 <= reject.record_ts <= LAST_MS:
        return None
    return rfc3339(reject.record_ts)


def _result_row(result: Result) -> dict[str, Any]:
    return {
        "id": result.reject.id,
        "reason": result.reject.reason,
        "outcome": result.outcome,
        "detail": result.detail,
    }
