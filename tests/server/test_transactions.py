"""A foreign producer with transactions: what it committed counts, what it aborted never was."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer

from optionstream.deploy.stack import Addresses
from optionstream.schemas.settings import Settings
from tests.harness.input import produce
from tests.harness.running import Running, running
from tests.harness.seeded import Sent, messy_input
from tests.harness.seeds import new_seed

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

A_TRANSACTION = 60


@pytest.fixture
def world(addresses: Addresses, patient_settings: Settings, tmp_path: Path) -> Iterator[Running]:
    with running(addresses, patient_settings, tmp_path) as made:
        yield made


def delivered(error: Any, _: Any) -> None:
    if error is not None:
        raise KafkaException(error)


def publish(world: Running, producer: Producer, records: Sequence[Sent], *, keep: bool) -> None:
    """All in one transaction, which is committed or aborted."""
    producer.begin_transaction()
    for record in records:
        produce(producer, world.namespace, world.settings.partitions, record, delivered)
    assert producer.flush(30) == 0  # they are in the log, whatever becomes of them
    if keep:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def test_marks_and_aborted_records_take_offsets_and_workers_killed_among_them_pass_over_no_other(
    world: Running,
) -> None:
    rng = random.Random(new_seed())
    records = messy_input(rng.randrange(1 << 30), ticks=20_000, chains=200)
    parts = [records[at : at + A_TRANSACTION] for at in range(0, len(records), A_TRANSACTION)]
    producer = Producer(
        {"bootstrap.servers": world.addresses.kafka, "transactional.id": world.namespace.name}
    )
    producer.init_transactions(30)
    world.start_all()
    kills = set(rng.sample(range(1, len(parts)), 3))
    for number, part in enumerate(parts):
        if rng.random() < 0.3:
            publish(world, producer, rng.choice(parts), keep=False)
        publish(world, producer, part, keep=True)
        if number in kills:
            world.kill(world.workers["analytics-1"], signal.SIGKILL)
            world.start("analytics")
    # No mark is the last on any partition: it would wait to be read for ever.
    last = list({(one.base, one.product): one for one in records}.values())
    world.publish(last)
    world.flush()
    world.wait_until_done()
    report = world.verify()
    assert report.counts.source == sum(one.events for one in [*records, *last])
    world.stop()
