"""What must have become of the input: one pass over the raw records, each partition in its order.

Nothing here is shared with streams.core but the market calendar.
"""

from __future__ import annotations

from collections.abc import Iterable

from optionstream.deploy.verify.chain_facts import ChainFacts
from optionstream.deploy.verify.chain_fold import ChainFold
from optionstream.deploy.verify.intake import Content, Refusal, TickRun, misplaced, parse
from optionstream.deploy.verify.ledger import Counts, Ledger, Refused, RejectKey
from optionstream.deploy.verify.records import RawRecord
from optionstream.deploy.verify.rules import Rules
from optionstream.deploy.verify.stored_ticks import StoredTicks
from optionstream.deploy.verify.tick_fold import TickFold
from optionstream.deploy.verify.timeline import Timeline, timeline_of
from optionstream.schemas.events import ChainSnapshot
from optionstream.schemas.topics import MARKET_TOPICS, OPTION_CHAIN, UNDERLYING


class Expectation:
    """Feed it every input record (``take``), then ask.

    ``chains`` holds, by id, the analytics that must have gone out; more than one under an id when
    the same content was accepted again (another number, or beyond the horizon).
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.chains: dict[str, list[ChainFacts]] = {}
        self.stored = StoredTicks(rules)
        self._ledgers = {topic: Ledger() for topic in MARKET_TOPICS}
        self._ticks: dict[str, TickFold] = {}
        self._chains: dict[str, ChainFold] = {}

    def take_all(self, records: Iterable[RawRecord]) -> None:
        for record in records:
            self.take(record)

    def take(self, record: RawRecord) -> None:
        """Decide the fate of one input record and of everything in it."""
        ledger = self._ledgers[record.topic]
        content = parse(record)
        if isinstance(content, Refusal):
            ledger.counts.source += content.events
            ledger.reject_record(record, content.reason, content.events)
            return
        refusal = misplaced(record, content, self.rules.partitions[record.topic])
        if isinstance(content, TickRun):
            self.stored.take(record, content, placed=refusal is None)
        if refusal is not None:
            ledger.counts.source += refusal.events
            ledger.reject_record(record, refusal.reason, refusal.events)
            return
        self._fold(record, content)

    def counts(self) -> dict[str, Counts]:
        """Fates by topic."""
        self._ledgers[UNDERLYING].counts.held = sum(fold.held for fold in self._ticks.values())
        return {topic: ledger.counts for topic, ledger in self._ledgers.items()}

    def rejects(self) -> dict[RejectKey, Refused]:
        return {
            key: refused
            for ledger in self._ledgers.values()
            for key, refused in ledger.rejects.items()
        }

    def timelines(self) -> Iterable[Timeline]:
        """The ticks of each product that had an accepted one."""
        for product, fold in sorted(self._ticks.items()):
            if fold.journal.sessions:
                yield timeline_of(product, fold.journal, self.rules.lateness_ms)

    def _fold(self, record: RawRecord, content: Content) -> None:
        if isinstance(content, ChainSnapshot):
            self._ledgers[OPTION_CHAIN].counts.source += 1
            self._fold_chain(record, content)
            return
        fold = self._ticks.get(content.product)
        if fold is None:
            fold = TickFold(self.rules, self._ledgers[UNDERLYING])
            self._ticks[content.product] = fold
        if isinstance(content, TickRun):
            self._ledgers[UNDERLYING].counts.source += len(content.ts)
            fold.take(record, content)
        else:
            fold.beat(content)

    def _fold_chain(self, record: RawRecord, chain: ChainSnapshot) -> None:
        fold = self._chains.get(chain.product)
        if fold is None:
            fold = ChainFold(self.rules, self._ledgers[OPTION_CHAIN])
            self._chains[chain.product] = fold
        facts = fold.take(record, chain)
        if facts is not None:
            variants = self.chains.setdefault(facts.id, [])
            if facts not in variants:
                variants.append(facts)
