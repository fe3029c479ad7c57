"""Namespaces, topics, keys and partitions.

A namespace has its own topics, consumer groups, MongoDB database and Redis keys; namespaces share
nothing. ``live`` has no prefix, ``sim`` is the live simulation, every other
name is a replay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from optionstream.schemas.errors import NamespaceError

LIVE = "live"
SIM = "sim"

UNDERLYING = "market.underlying"
OPTION_CHAIN = "market.option_chain"
OPTION_QUOTE = "market.option_quote"
OHLC = "analytics.ohlc"
CHAIN = "analytics.chain"
SURFACE = "analytics.surface"
GAPS = "analytics.gaps"
REJECTS = "rejects"
RAW_NSE = "raw.nse"
RAW_BROKERS = "raw.brokers"
RAW_FILES = "raw.files"

MARKET_TOPICS = (UNDERLYING, OPTION_CHAIN, OPTION_QUOTE)
OUTPUT_TOPICS = (OHLC, CHAIN, SURFACE, GAPS, REJECTS)
STATE_TOPIC_OF = {topic: f"state.{topic}" for topic in MARKET_TOPICS}
RAW_TOPICS = (RAW_NSE, RAW_BROKERS, RAW_FILES)
"""Bytes as feeds received them, by sender: the exchange, a broker, anybody. One partition each, so
that their order is that of their receipt."""
WORK_TOPICS = (*MARKET_TOPICS, *OUTPUT_TOPICS, *STATE_TOPIC_OF.values())
"""Topics that the workers need."""
ALL_TOPICS = (*WORK_TOPICS, *RAW_TOPICS)

MAX_RECORD_BYTES = 16 * 1024 * 1024
"""The largest record that topics and clients accept; an exchange's payload reaches 800 kB."""

GROUPS = ("analytics", "latest", "history")
"""The groups that every namespace needs."""
EXTRA_GROUPS = ("audit", "features")
"""Groups that run on request; results do not depend on them."""
ALL_GROUPS = (*GROUPS, *EXTRA_GROUPS)
GROUP_TOPICS: dict[str, tuple[str, ...]] = {
    "analytics": MARKET_TOPICS,
    "latest": (UNDERLYING, OHLC, CHAIN, SURFACE),
    "history": (UNDERLYING, OHLC, CHAIN, SURFACE, GAPS, REJECTS),
    "audit": (*MARKET_TOPICS, *RAW_TOPICS),
    "features": (OHLC, CHAIN),
}
"""Topics that each consumer group reads."""

NAME_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$"
"""Pattern of a namespace's name."""
_NAME = re.compile(NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace (see the module). ``Namespace.parse`` makes one from user input."""

    name: str

    @classmethod
    def parse(cls, name: str) -> Namespace:
        """Return the namespace ``name``: 1 to 40 of a–z, 0–9 and inner dashes.

        Raises NamespaceError for any other name.
        """
        if not _NAME.fullmatch(name):
            raise NamespaceError(
                f"namespace {name!r}: use 1 to 40 lower-case letters, digits and inner dashes"
            )
        return cls(name)

    @property
    def is_live(self) -> bool:
        """True for live and sim, which follow the clock: retention, lifetimes, ``future_event``."""
        return self.name in (LIVE, SIM)

    @property
    def is_replay(self) -> bool:
        """True for the namespace of a replay."""
        return not self.is_live

    def topic(self, name: str) -> str:
        """Return this namespace's Kafka topic for ``name``, one of ``ALL_TOPICS``."""
        if self.name == LIVE:
            return name
        return f"{SIM}.{name}" if self.name == SIM else f"replay.{self.name}.{name}"

    def base_topic(self, topic: str) -> str:
        """Return the name that ``topic`` made the topic from."""
        return topic[len(self.topic("")) :]

    def group(self, name: str) -> str:
        """Return this namespace's consumer group for ``name``, one of ``ALL_GROUPS``."""
        return f"optionstream.{self.topic(name)}"

    @property
    def mongo_db(self) -> str:
        """The name of this namespace's MongoDB database."""
        if self.name == LIVE:
            return "optionstream"
        return f"optionstream_{SIM}" if self.name == SIM else f"optionstream_replay_{self.name}"

    def redis(self, key: str) -> str:
        """Return this namespace's Redis key or channel for ``key`` (``redis_keys``)."""
        if self.name == LIVE:
            return key
        return f"{SIM}:{key}" if self.name == SIM else f"replay:{self.name}:{key}"


def chain_key(product: str, expiry: str) -> str:
    """Return the record key of the chain topics."""
    return f"{product}:{expiry}"


def murmur2(data: bytes) -> int:
    """Return the 32-bit hash of Kafka's Java client (Appleby's MurmurHash2, seed 0x9747b28c)."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    length = len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        h = (h * m & mask) ^ ((k ^ (k >> 24)) * m & mask)
    if whole < length:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return h ^ (h >> 15)


@cache
def partition_for(product: str, partitions: int) -> int:
    """Return the partition of all records of ``product``, the same in every topic.

    The Java default hash of the product alone, so that the ticks, chains and results of a
    product stay together; every client passes it explicitly.
    """
    return (murmur2(product.encode()) & 0x7FFFFFFF) % partitions
