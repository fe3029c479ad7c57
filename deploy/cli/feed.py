"""``feed``: publish a simulated market, or files as if they came in live."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optionstream.deploy.cli import context, files, output
from optionstream.deploy.cli.options import (
    SIMULATED_DATE,
    ExpiryDateOption,
    InstrumentsOption,
    JsonOption,
    PathsArgument,
    ProductOption,
    ProductsOption,
    SpeedOption,
    TimestampOption,
    parse_date,
    parse_products,
    parse_speed,
)
from optionstream.schemas.errors import NamespaceError, UsageError
from optionstream.schemas.times import IST, to_ms
from optionstream.schemas.topics import LIVE, SIM, Namespace

if TYPE_CHECKING:
    from optionstream.producers.kafka.publisher import Publisher
    from optionstream.producers.kafka.settings import PublishStats
    from optionstream.producers.simulated import SimulationConfig
    from optionstream.schemas.events import MarketEvent

_LIVE_FRAME_MS = 500
_LIVE_HEARTBEAT_S = 5
_DEFAULT_MINUTES = 375


def simulated(
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write a session file; publish nothing."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    date: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help=f"Trading date; default: today, with --out {SIMULATED_DATE}."
        ),
    ] = None,
    products: ProductsOption = "NIFTY,BANKNIFTY",
    speed: SpeedOption = "1",
    minutes: Annotated[
        int, typer.Option(min=1, max=1440, help="Market time to simulate; not with --out.")
    ] = _DEFAULT_MINUTES,
    as_json: JsonOption = False,
) -> None:
    """Simulate a market from a seed.

    Publishes into namespace sim, or writes one day to a session file. When published, the market
    opens now, whatever the time of day, and runs in real time or at --speed.

    \b
    Examples:
      optionstream feed simulated --out day.jsonl.zst --seed 7 --products NIFTY
      optionstream feed simulated
      optionstream feed simulated --speed 60 --minutes 30
    """
    day = parse_date("--date", date).isoformat() if date is not None else None
    chosen = _ordered(products)
    if out is not None:
        _write(out, seed, day or SIMULATED_DATE, chosen, as_json)
        return
    stats = _simulate_live(seed, day, chosen, minutes, parse_speed(speed))
    _print_stats(SIM, stats, as_json)


def file(
    paths: PathsArgument,
    namespace: Annotated[
        str, typer.Option(metavar="NAME", help="Namespace to publish into: live or sim.")
    ] = LIVE,
    speed: SpeedOption = "max",
    products: ProductsOption = None,
    product: ProductOption = None,
    expiry_date: ExpiryDateOption = None,
    timestamp: TimestampOption = None,
    instruments: InstrumentsOption = None,
    raw: Annotated[
        bool | None,
        typer.Option(
            "--raw/--no-raw",
            help="Also publish the bytes, for `replay --from-raw`; default: OPTIONSTREAM_RAW.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Publish files into the live stream.

    Events are stamped as received now: a whole file at once, or event by event at --speed. For
    history use `optionstream replay`.

    \b
    Examples:
      optionstream feed file captured/ --namespace sim
      optionstream feed file today.csv --product NIFTY --speed 1
    """
    name = Namespace.parse(namespace)
    if name.is_replay:
        raise NamespaceError(
            f"namespace {namespace} is a replay: use `optionstream replay --namespace {namespace}`"
        )
    failures = output.Failures()
    pace, chosen = parse_speed(speed), parse_products(products)
    given = files.feed_hints(product, expiry_date, timestamp, instruments)
    found = files.expand_paths(paths, failures)
    if found:
        from optionstream.deploy.cli.received import ReceivedFiles

        keep = context.settings().raw if raw is None else raw

        def events(publisher: Publisher) -> Iterable[MarketEvent]:
            received = ReceivedFiles(given, failures, _now_ms, publisher if keep else None)
            return received.events(found, chosen)

        stats = _publish(name, events, pace, restamp=pace is not None, raw=keep)
        _print_stats(name.name, stats, as_json)
    failures.finish()


def session_file(path: Path, config: SimulationConfig) -> int:
    """Write the simulated session to a file; return its number of events."""
    from optionstream.producers.feeds.session_file import header_for, write_session
    from optionstream.producers.simulated import SimulatedMarket

    header = header_for(config.products, config.described())
    with output.progress() as bars:
        task = bars.add_task("simulating", total=None, detail="")

        def counted() -> Iterator[MarketEvent]:
            for number, event in enumerate(SimulatedMarket(config).events()):
                if number % 256 == 0:
                    bars.update(task, completed=number)
                yield event

        return write_session(path, header, counted())


def _write(out: Path, seed: int, day: str, products: tuple[str, ...], as_json: bool) -> None:
    from optionstream.producers.simulated import SimulationConfig

    events = session_file(out, SimulationConfig(seed=seed, date=day, products=products))
    row = {"path": str(out), "events": events, "bytes": out.stat().st_size}
    output.print_rows("", tuple(row), [row], as_json)


def _simulate_live(
    seed: int, day: str | None, products: tuple[str, ...], minutes: int, speed: float | None
) -> PublishStats:
    from optionstream.producers.simulated import SimulatedMarket

    config = _live_config(datetime.now(IST), seed, day, products, minutes)
    return _publish(Namespace.parse(SIM), lambda _: SimulatedMarket(config).events(), speed)


def _live_config(
    now: datetime, seed: int, day: str | None, products: tuple[str, ...], minutes: int
) -> SimulationConfig:
    """Return a session that opens now, or at this time of day on another date.

    Its label is unique, so that the events of a second simulation are no duplicates.
    """
    import secrets

    from optionstream.producers.simulated import SimulationConfig

    date = day or now.date().isoformat()
    opens = datetime.combine(datetime.fromisoformat(date).date(), now.time(), tzinfo=IST)
    open_ms = to_ms(opens)
    return SimulationConfig(
        seed=seed,
        date=date,
        products=products,
        open_ms=open_ms,
        close_ms=open_ms + minutes * 60_000,
        frame_ms=_LIVE_FRAME_MS,
        heartbeat_every_s=_LIVE_HEARTBEAT_S,
        session_label=f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _publish(
    namespace: Namespace,
    made: Callable[[Publisher], Iterable[MarketEvent]],
    speed: float | None,
    restamp: bool = True,
    raw: bool = False,
) -> PublishStats:
    """Publish events, paced by ``speed``; ``restamp`` gives them the time of sending.

    Ctrl-C delivers what was handed over, then ends.
    """
    from optionstream.deploy.namespaces.topics import ensure_topics
    from optionstream.producers.kafka.publish_all import publish
    from optionstream.producers.kafka.publisher import Publisher
    from optionstream.producers.pacing import paced, stamped

    settings = context.settings()
    servers = context.addresses(settings, context.KAFKA)
    ensure_topics(servers.kafka, namespace, settings)
    with output.progress() as bars:
        task = bars.add_task(f"publishing into {namespace.name}", total=None, detail="")

        def on_progress(stats: PublishStats) -> None:
            bars.update(task, completed=stats.records, detail=stats.told)

        publisher = Publisher(servers.kafka, namespace, allow_live=True, raw=raw)
        try:
            with publisher:
                events = made(publisher)
                if speed is not None:
                    events = paced(events, speed, time.monotonic, time.sleep)
                if restamp:
                    events = stamped(events, _now_ms)
                return publish(events, publisher, on_progress)
        except KeyboardInterrupt:
            sent = publisher.stats
            output.note(f"delivered {sent.delivered:,} of {sent.records:,} records")
            raise


def _print_stats(namespace: str, stats: PublishStats, as_json: bool) -> None:
    row = {
        "namespace": namespace,
        "records": stats.records,
        "ticks": stats.ticks,
        "candles": stats.candles,
        "quotes": stats.quotes,
        "chains": stats.chains,
        "heartbeats": stats.heartbeats,
        "delivered": stats.delivered,
        "raw": stats.raw,
    }
    output.print_rows("", tuple(row), [row], as_json)


def _ordered(products: str | None) -> tuple[str, ...]:
    """Return the products in the order in which they were named."""
    chosen = parse_products(products)
    if chosen is None:
        raise UsageError("--products: name at least one")
    named = [name.strip().upper() for name in (products or "").split(",")]
    return tuple(dict.fromkeys(name for name in named if name in chosen))
