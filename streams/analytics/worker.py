"""Composition root of the ``analytics`` worker."""

from __future__ import annotations

import logging
import time
from typing import NoReturn

from faust.types import TP

from optionstream.schemas.connections import kafka_options
from optionstream.schemas.errors import NamespaceError
from optionstream.schemas.topics import (
    OPTION_CHAIN,
    OPTION_QUOTE,
    STATE_TOPIC_OF,
    UNDERLYING,
    Namespace,
)
from optionstream.streams.analytics.indicators import installed_indicators
from optionstream.streams.analytics.state import KafkaState, begin_anew
from optionstream.streams.core.chains.partition import ChainPartition
from optionstream.streams.core.intake import Source
from optionstream.streams.core.quotes.partition import QuotePartition
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.ticks.partition import TickPartition
from optionstream.streams.engine.app import EngineApp, engine_options
from optionstream.streams.engine.checkpoint import Checkpoint
from optionstream.streams.engine.lane import Lane, LaneOptions
from optionstream.streams.engine.metrics import EngineMetrics
from optionstream.streams.engine.ports import Processor
from optionstream.streams.process import (
    WorkerConfig,
    configure_logging,
    serve_metrics,
    spare_the_collector,
)

logger = logging.getLogger(__name__)


def run(config: WorkerConfig, from_beginning: bool = False) -> NoReturn:
    """Run until SIGTERM or SIGINT; raises SystemExit with the worker's exit code.

    ``from_beginning`` first discards the group's state, so that everything is computed again.
    """
    configure_logging()
    state = KafkaState(config.kafka, config.namespace)
    partitions = state.partitions()
    if from_beginning:
        _refuse_while_members_run(config)
        begin_anew(config.kafka, config.namespace)
    serve_metrics(config.metrics_port)
    app = build_app(config, state, partitions)
    worker = app.Worker(
        loglevel="INFO",
        logging_config=None,
        override_logging=False,
        redirect_stdouts=False,
        quiet=True,
    )
    spare_the_collector()
    raise SystemExit(worker.execute_from_commandline())


def build_app(config: WorkerConfig, state: KafkaState, partitions: int) -> EngineApp:
    """The Faust app with its one agent; ``partitions`` is that of the namespace's topics."""
    namespace, settings = config.namespace, config.settings
    data_dir = settings.data_dir / "faust"
    data_dir.mkdir(parents=True, exist_ok=True)
    timeout_s = settings.session_timeout_ms / 1000
    app = EngineApp(
        namespace.group("analytics"),
        config.kafka,
        _lanes(namespace),
        **engine_options(data_dir, f"analytics-{config.instance}", timeout_s),
    )
    rules = Rules.of(namespace, settings)
    indicators = installed_indicators()

    def source(tp: TP) -> Source:
        return Source(namespace.base_topic(tp.topic), tp.partition, partitions)

    def processor(at: Source) -> Processor:
        if at.topic == UNDERLYING:
            return TickPartition(at, rules, settings.partial_every_ms)
        if at.topic == OPTION_QUOTE:
            return QuotePartition(at, rules, indicators)
        return ChainPartition(at, rules, indicators)

    metrics = EngineMetrics()
    app.checkpoint = Checkpoint(
        send=app.outbox.send,
        topic=namespace.topic,
        state_topics={base: namespace.topic(name) for base, name in STATE_TOPIC_OF.items()},
        processor=processor,
        sources=source,
        state=state,
        metrics=metrics,
        longest_sleep_s=timeout_s / 2,
    )

    for lane in app.lanes:
        _agent(app, lane, metrics)
    app.task(app.watch)
    return app


def _lanes(namespace: Namespace) -> list[LaneOptions]:
    """Ticks, whose bars are waited for, and what takes a thousand times as long."""
    ticks = [namespace.topic(UNDERLYING)]
    chains = [namespace.topic(base) for base in (OPTION_CHAIN, OPTION_QUOTE)]
    return [
        LaneOptions("ticks", ticks, gather_ms=2),
        LaneOptions("chains", chains, gather_ms=100),
    ]


def _agent(app: EngineApp, lane: Lane, metrics: EngineMetrics) -> None:
    waits, takes = (
        histogram.labels(lane.name)
        for histogram in (metrics.fetch_wait_seconds, metrics.take_seconds)
    )

    @app.agent(lane.fetches, name=f"analytics-{lane.name}")
    async def analytics(fetches):  # type: ignore[no-untyped-def]
        async for fetch in fetches:
            waits.observe(time.monotonic() - fetch.at_hand_s)
            with takes.time():
                await app.checkpoint.take(fetch)


def _refuse_while_members_run(config: WorkerConfig) -> None:
    from confluent_kafka.admin import AdminClient

    group = config.namespace.group("analytics")
    admin = AdminClient(kafka_options(config.kafka))
    described = admin.describe_consumer_groups([group])[group].result(timeout=30)
    if described.members:
        raise NamespaceError(
            f"group {group} has {len(described.members)} running members; stop them first"
        )
