"""``python -m tests.chaos.sender``: the producer as a process that can be killed.

Reads the input from a file of pickled records (made by the parent), sends from position ``--from``
on, never beyond what a line of its standard input allows, and prints how far everything before has
been acknowledged. Whoever starts it again after a kill goes on from there: what was on its way then
is sent twice, as any producer with at-least-once delivery does.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

from optionstream.schemas.topics import Namespace
from tests.harness.input import input_producer, produce
from tests.harness.seeded import Sent


class Sender:
    """Sends in order; ``acknowledged`` is the position before which all is delivered."""

    def __init__(self, kafka: str, namespace: Namespace, partitions: int, first: int) -> None:
        self._namespace = namespace
        self._partitions = partitions
        self._producer = input_producer(kafka)
        self._delivered: set[int] = set()
        self.acknowledged = first

    def send(self, position: int, record: Sent) -> None:
        """Hand over one record; waits while the client's queue is full."""
        produce(
            self._producer,
            self._namespace,
            self._partitions,
            record,
            lambda error, _: self._took(position, error),
        )

    def poll(self, seconds: float) -> None:
        self._producer.poll(seconds)

    def _took(self, position: int, error: Any) -> None:
        if error is not None:
            raise SystemExit(f"record {position} was not taken: {error}")
        self._delivered.add(position)
        while self.acknowledged in self._delivered:
            self._delivered.discard(self.acknowledged)
            self.acknowledged += 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--from", type=int, dest="first", required=True)
    options = parser.parse_args()
    records: list[Sent] = pickle.loads(options.file.read_bytes())
    allowed = deque([options.first], maxlen=1)
    threading.Thread(target=_listen, args=(allowed,), daemon=True).start()
    sender = Sender(
        options.kafka, Namespace.parse(options.namespace), options.partitions, options.first
    )
    at = told = options.first
    while told < len(records):
        while at < min(allowed[0], len(records)):
            sender.send(at, records[at])
            at += 1
        sender.poll(0.01)
        if sender.acknowledged > told:
            told = sender.acknowledged
            print(told, flush=True)


def _listen(allowed: deque[int]) -> None:
    for line in sys.stdin:
        allowed.append(int(line))


if __name__ == "__main__":
    main()
