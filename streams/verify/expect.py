"""What the input must have become: one pass over its records, each partition in its order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain

from optionstream.schemas.events import CandleFrame, ChainSnapshot, Heartbeat, OptionQuoteFrame
from optionstream.schemas.topics import MARKET_TOPICS, OPTION_CHAIN, OPTION_QUOTE, UNDERLYING
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.chains.facts import ChainFacts, Made
from optionstream.streams.verify.chains.fold import ChainFold
from optionstream.streams.verify.intake import Refusal, TickRun, events_of, misplaced, parse
from optionstream.streams.verify.ledger import Counts, Ledger, Refused, RejectKey
from optionstream.streams.verify.quotes.fold import QuoteFold
from optionstream.streams.verify.rules import Rules
from optionstream.streams.verify.surface.expected import expected_surfaces
from optionstream.streams.verify.surface.facts import Surface
from optionstream.streams.verify.ticks.fold import TickFold
from optionstream.streams.verify.ticks.journal_frames import EVENTS_A_PART, Timeline, timelines_of
from optionstream.streams.verify.ticks.stored import StoredTicks


class Expectation:
    """Takes every input record, then ``finish``; the rest returns what must be found.

    ``chains`` holds, by id, the analytics that must have gone out; more than one under an id when
    the same content was accepted again (another number, or beyond the horizon). ``stored`` are the
    raw ticks.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.chains: dict[str, list[ChainFacts]] = {}
        self.stored = StoredTicks(rules)
        self._ledgers = ledgers = {topic: Ledger() for topic in MARKET_TOPICS}
        self._ticks = defaultdict[str, TickFold](lambda: TickFold(rules, ledgers[UNDERLYING]))
        self._chains = ChainFold(rules, ledgers[OPTION_CHAIN])
        self._quotes = QuoteFold(rules, ledgers[OPTION_QUOTE])
        self._made: dict[tuple[str, str], list[Made]] = {}
        """By topic and product, every chain that must go out, of each expiry in its order."""

    def take_records(self, records: Iterable[RawRecord]) -> None:
        """Take records, each partition's in the order of its offsets."""
        for record in records:
            self.take_record(record)

    def take_record(self, record: RawRecord) -> None:
        """Decide the fate of one input record and of everything in it."""
        content = parse(record)
        partitions = self.rules.partitions[record.topic]
        refusal = (
            content if isinstance(content, Refusal) else misplaced(record, content, partitions)
        )
        if isinstance(content, TickRun):
            self.stored.add_run(record, content, placed=refusal is None)
        ledger = self._ledgers[record.topic]
        if refusal is not None:
            ledger.counts.source += refusal.events
            ledger.reject_record(record, refusal.reason, refusal.events)
            return
        assert not isinstance(content, Refusal)
        ledger.counts.source += 0 if isinstance(content, Heartbeat) else events_of(content)
        match content:
            case ChainSnapshot():
                self._must_go_out(OPTION_CHAIN, self._chains.take_snapshot(record, content))
            case OptionQuoteFrame():
                self._must_go_out(OPTION_QUOTE, self._quotes.take_quotes(record, content))
            case TickRun():
                self._ticks[content.product].take_ticks(record, content)
            case CandleFrame():
                self._ticks[content.product].take_candles(record, content)
            case Heartbeat():
                self._ticks[content.product].take_heartbeat(content)

    def finish(self) -> None:
        """Take the end of the input: there are no more records."""
        self._must_go_out(OPTION_QUOTE, self._quotes.finish())

    def counts(self) -> dict[str, Counts]:
        """Return the fates of events by topic."""
        self._ledgers[UNDERLYING].counts.held = sum(fold.held for fold in self._ticks.values())
        self._ledgers[OPTION_QUOTE].counts.held = self._quotes.held
        return {topic: ledger.counts for topic, ledger in self._ledgers.items()}

    def rejects(self) -> dict[RejectKey, Refused]:
        """Return what was refused, by record and reason."""
        every = (ledger.rejects.items() for ledger in self._ledgers.values())
        return dict(chain.from_iterable(every))

    def timelines(self, events_a_part: int = EVENTS_A_PART) -> Iterator[Timeline]:
        """Yield each product's accepted events as timelines of a few sessions, in order."""
        lateness_ms = self.rules.settings.allowed_lateness_ms
        for product, fold in sorted(self._ticks.items()):
            yield from timelines_of(product, fold.journal, lateness_ms, events_a_part)

    def surfaces(self) -> dict[str, Surface]:
        """Return by id the volatility surfaces of the chains, taken in the order of the input."""
        found: dict[str, Surface] = {}
        for made in self._made.values():
            in_order = sorted(made, key=lambda one: one.offset)
            found |= expected_surfaces(one.facts for one in in_order)
        return found

    def _must_go_out(self, topic: str, chains: Iterable[Made]) -> None:
        for made in chains:
            facts = made.facts
            variants = self.chains.setdefault(facts.id, [])
            if facts not in variants:
                variants.append(facts)
            kept = variants[variants.index(facts)]
            every = self._made.setdefault((topic, facts.product), [])
            every.append(Made(made.offset, kept))
