"""The ledger of redriven rejects: one document each in MongoDB, so that none is sent twice.

    redrives   {_id: "<reject id>@<its record's time>", reject, state, holder, until, at, topic,
                partition, begins[, offset]}

A reject is claimed (``sending``) before its record is sent, with the end of the target partition
at that moment (``begins``), and marked ``sent`` once Kafka has it. Whoever finds an expired claim
searches the partition from ``begins`` on: the log itself shows how far a redrive that died had
come. (A Kafka transaction would do as well, but its end mark would stay on the topic as a lag that
never goes away.)
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from optionstream.deploy.rejects.log import key_of
from optionstream.schemas.derived import Reject
from optionstream.schemas.documents import REDRIVES, Document
from optionstream.schemas.topics import Namespace

LEASE_S = 60.0
"""Lifetime of a claim; its record is delivered or given up well before."""

SENDING = "sending"
SENT = "sent"

Now = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim on a reject. ``mine``: this redrive is to send it.

    ``look_from``: a redrive that died may have sent it, to ``topic`` and ``partition`` at that
    offset or later.
    """

    mine: bool
    state: str
    at: datetime
    topic: str = ""
    partition: int = 0
    look_from: int | None = None


class Ledger:
    """The redrives of one namespace. Raises pymongo.errors.PyMongoError."""

    def __init__(
        self, client: MongoClient[Document], namespace: Namespace, now: Now = utc_now
    ) -> None:
        options: CodecOptions[Document] = CodecOptions(tz_aware=True)
        self._rows = client.get_database(
            namespace.mongo_db,
            codec_options=options,
            write_concern=WriteConcern("majority"),
            read_concern=ReadConcern("majority"),
        )[REDRIVES]
        self._holder = uuid4().hex
        self._now = now

    def claim(self, reject: Reject, topic: str, partition: int, begins: int) -> Claim:
        """Claim a reject whose record goes to a partition that ends at ``begins`` now."""
        now = self._now()
        mine = {"state": SENDING, "holder": self._holder, "until": now + timedelta(seconds=LEASE_S)}
        row = {"_id": key_of(reject), "reject": reject.id, "at": now, **mine}
        where = {"topic": topic, "partition": partition, "begins": begins}
        try:
            self._rows.insert_one({**row, **where})
            return Claim(True, SENDING, now)
        except DuplicateKeyError:
            pass
        taken = self._rows.find_one_and_update(
            {"_id": row["_id"], "state": SENDING, "until": {"$lte": now}}, {"$set": mine}
        )
        if taken is not None:
            place = taken["topic"], int(taken["partition"]), int(taken["begins"])
            return Claim(True, SENDING, taken["at"], *place)
        return _other_claim(self._rows.find_one({"_id": row["_id"]}) or row)

    def renew(self, reject: Reject, topic: str, partition: int, begins: int) -> None:
        """Use an expired claim, under which nothing was sent, for this place from now on."""
        where = {"topic": topic, "partition": partition, "begins": begins}
        self._rows.update_one({"_id": key_of(reject), "holder": self._holder}, {"$set": where})

    def mark_sent(self, reject: Reject, offset: int) -> None:
        """Record that Kafka has the record, at ``offset``."""
        self._rows.update_one(
            {"_id": key_of(reject)},
            {"$set": {"state": SENT, "offset": offset, "at": self._now()}, "$unset": {"until": ""}},
        )

    def release(self, reject: Reject) -> None:
        """Give back a claim under which nothing was sent."""
        self._rows.delete_one({"_id": key_of(reject), "state": SENDING, "holder": self._holder})

    def claims(self, rejects: Collection[Reject]) -> dict[str, Claim]:
        """Return the claims on these rejects, by ``key_of``; unclaimed ones are missing."""
        found = self._rows.find({"_id": {"$in": [key_of(reject) for reject in rejects]}})
        return {row["_id"]: _other_claim(row) for row in found}


def _other_claim(row: Document) -> Claim:
    """Return another redrive's claim; ``at`` is when it was sent, or when the claim expires."""
    return Claim(False, row["state"], row["at"] if row["state"] == SENT else row["until"])
