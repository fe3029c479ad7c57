"""Which rejects were sent again: one document each in MongoDB, so that none is sent twice.

    redrives   {_id: "<reject id>@<its record's time>", reject, state, holder, until, at, topic,
                partition, begins[, offset]}

A reject is claimed (``sending``) before its record is sent, with the end of the target partition
at that moment (``begins``), and marked ``sent`` once Kafka has it. Whoever finds a claim that has
run out looks on the partition, from ``begins`` on, whether the record lies there: the log itself
says how far a redrive that died had come. A Kafka transaction would do as well, but its end mark
stays on the topic as lag that nobody can read off.
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
"""How long a claim keeps others away; a record of it is delivered or given up well before."""

SENDING = "sending"
SENT = "sent"

Now = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Claim:
    """What claiming a reject gave. ``mine``: it is this redrive's to send. ``look_from``: one that
    died may have sent it, to ``topic`` and ``partition`` at that offset or later."""

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
        """Claim a reject whose record goes to ``topic``, whose partition ends at ``begins``."""
        now = self._now()
        mine = {"state": SENDING, "holder": self._holder, "until": now + _seconds(LEASE_S)}
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
        return _told(self._rows.find_one({"_id": row["_id"]}) or row)

    def renew(self, reject: Reject, topic: str, partition: int, begins: int) -> None:
        """Nothing was sent under the claim that ran out: it is for this place from now on."""
        where = {"topic": topic, "partition": partition, "begins": begins}
        self._rows.update_one({"_id": key_of(reject), "holder": self._holder}, {"$set": where})

    def sent(self, reject: Reject, offset: int) -> None:
        """Kafka has the record."""
        self._rows.update_one(
            {"_id": key_of(reject)},
            {"$set": {"state": SENT, "offset": offset, "at": self._now()}, "$unset": {"until": ""}},
        )

    def release(self, reject: Reject) -> None:
        """Give back a claim of which nothing was sent."""
        self._rows.delete_one({"_id": key_of(reject), "state": SENDING, "holder": self._holder})

    def claims(self, rejects: Collection[Reject]) -> dict[str, Claim]:
        """What is known of these, by ``key_of``; those that nobody sent yet are missing."""
        found = self._rows.find({"_id": {"$in": [key_of(reject) for reject in rejects]}})
        return {row["_id"]: _told(row) for row in found}


def _told(row: Document) -> Claim:
    """Somebody else's claim: ``at`` is when it was sent, or until when it is being sent."""
    return Claim(False, row["state"], row["at"] if row["state"] == SENT else row["until"])


def _seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)
