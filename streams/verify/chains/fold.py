"""The fate of each chain snapshot, in the order of the log."""

from __future__ import annotations

from collections import defaultdict, deque

from optionstream.schemas import rejects
from optionstream.schemas.events import ChainSnapshot
from optionstream.schemas.identity import snapshot_id
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.chains.facts import Made
from optionstream.streams.verify.chains.history import ChainHistory
from optionstream.streams.verify.chains.recomputed import recomputed
from optionstream.streams.verify.ledger import Ledger
from optionstream.streams.verify.rules import Rules, possible_time

REMEMBERED_SNAPSHOTS = 1_024
REMEMBERED_LABELS = 2

_Place = tuple[str, str]


class ChainFold:
    """Duplicates and refusals of snapshots, each product's apart."""

    def __init__(self, rules: Rules, ledger: Ledger) -> None:
        self._rules = rules
        self._ledger = ledger
        self._recent: dict[_Place, deque[str]] = defaultdict(
            lambda: deque(maxlen=REMEMBERED_SNAPSHOTS)
        )
        """By product and expiry, the last accepted snapshots without a number."""
        self._labels: dict[_Place, dict[str, set[int]]] = defaultdict(dict)
        """By product and source, the numbers seen in each label, in the order of their starts."""
        self._histories: dict[_Place, ChainHistory] = defaultdict(ChainHistory)
        """By product and expiry."""

    def take_snapshot(self, record: RawRecord, chain: ChainSnapshot) -> list[Made]:
        """Return what must come out for this snapshot: nothing if it is refused or a duplicate."""
        reason = self._flaw(chain)
        if reason is not None:
            self._ledger.reject_record(record, reason, 1)
            return []
        if self._repeated(chain):
            self._ledger.counts.duplicates += 1
            return []
        self._ledger.counts.accepted += 1
        facts = recomputed(
            self._histories[chain.product, chain.expiry].add_snapshot(chain), self._rules
        )
        return [Made(record.offset, facts)]

    def _flaw(self, chain: ChainSnapshot) -> str | None:
        if self._rules.from_the_future(chain.ts_event, chain.ts_recv):
            return rejects.FUTURE_EVENT
        if not possible_time(chain.ts_event):
            return rejects.BAD_TIME
        return None if self._rules.covers(chain.ts_event) else rejects.NO_CALENDAR

    def _repeated(self, chain: ChainSnapshot) -> bool:
        if chain.seq is None:
            return self._repeated_content(chain)
        labels = self._labels[chain.product, chain.source]
        numbers = labels.get(chain.session)
        if numbers is None:
            numbers = labels[chain.session] = set()
            if len(labels) > REMEMBERED_LABELS:
                del labels[next(iter(labels))]
        if chain.seq in numbers:
            return True
        numbers.add(chain.seq)
        return False

    def _repeated_content(self, chain: ChainSnapshot) -> bool:
        recent = self._recent[chain.product, chain.expiry]
        content = snapshot_id(chain)
        if content in recent:
            return True
        recent.append(content)
        return False
