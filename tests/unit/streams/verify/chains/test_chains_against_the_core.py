"""Chains by the core and by verify, which share no code, agree on wild snapshots and quotes."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest

from optionstream.schemas import topics
from optionstream.schemas.codec import decode, encode, headers_for
from optionstream.schemas.derived import ChainAnalytics, IvMode, Reject
from optionstream.schemas.documents import chain_document
from optionstream.schemas.events import OptionQuoteFrame
from optionstream.streams.core.chains.analyse import ExpiryChains
from optionstream.streams.core.intake import Source
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.quotes.partition import QuotePartition
from optionstream.streams.core.rules import Rules
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.chains.facts import ChainFacts, facts_of_document, facts_of_record
from optionstream.streams.verify.chains.history import ChainHistory
from optionstream.streams.verify.chains.judge import chain_apart
from optionstream.streams.verify.chains.recomputed import recomputed
from optionstream.streams.verify.ledger import Ledger
from optionstream.streams.verify.quotes.fold import QuoteFold
from optionstream.streams.verify.rules import Rules as VerifyRules
from tests.unit.streams.verify.wild_quotes import WildQuotes
from tests.unit.streams.verify.world import (
    HOME,
    OPEN,
    PARTITIONS,
    as_json,
    rules,
)
from tests.unit.streams.wild_chains import WildChains


def told_forms(record: ChainAnalytics) -> list[ChainFacts]:
    """The facts of a record off the wire, of its document, and of the document in JSON."""
    wired = decode(encode(record), headers_for(record))
    assert isinstance(wired, ChainAnalytics)
    document = chain_document(wired)
    return [
        facts_of_record(wired),
        facts_of_document(document),
        facts_of_document(as_json(document)),
    ]


@pytest.mark.parametrize("mode", ["black76", "nse"])
@pytest.mark.parametrize("seed", range(50))
def test_the_analytics_of_wild_snapshots_agree(seed: int, mode: IvMode) -> None:
    rng = random.Random(seed)
    feed, history, core = WildChains(rng), ChainHistory(), ExpiryChains()
    for _ in range(12):
        chain = feed.next()
        record = core.analyse(chain, Rules(nse_calendar(), iv_mode=mode), known_at=1)
        wanted = recomputed(history.add_snapshot(chain), rules(iv_mode=mode))
        for told in told_forms(record):
            assert chain_apart(wanted, told) == {}


class Arrived(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


Refusals = list[tuple[int, str, list[int], int]]
"""Offset, reason, positions and number of what was refused, sorted."""


def told_of_quotes(
    log: list[OptionQuoteFrame], core_rules: Rules
) -> tuple[list[ChainAnalytics], Refusals, dict[str, int]]:
    """What the core makes of a log: chains, refusals and counts."""
    part = QuotePartition(Source(topics.OPTION_QUOTE, HOME, PARTITIONS), core_rules)
    records = [
        Arrived(
            at, OPEN, f"{one.product}:{one.expiry}".encode(), encode(one), list(headers_for(one))
        )
        for at, one in enumerate(log)
    ]
    outputs = [output.record for output in part.apply(records)]
    chains = [record for record in outputs if isinstance(record, ChainAnalytics)]
    refused: dict[tuple[int, str], list[int]] = {}
    for record in outputs:
        if isinstance(record, Reject):
            refused.setdefault((record.offset, record.reason), []).extend(record.indices)
    counts = {"accepted": 0, "outside_session": 0, "duplicates": 0, "held": 0}
    for one in part.counts():
        counts = {name: count + getattr(one, name) for name, count in counts.items()}
    told = [(*place, sorted(indices), len(indices)) for place, indices in refused.items()]
    return chains, sorted(told), counts


def wanted_of_quotes(
    log: list[OptionQuoteFrame], how: VerifyRules
) -> tuple[list[ChainFacts], Refusals, dict[str, int]]:
    """Return what verify demands of the same log."""
    ledger = Ledger()
    fold = QuoteFold(how, ledger)
    made = []
    for at, frame in enumerate(log):
        record = RawRecord(topics.OPTION_QUOTE, HOME, at, OPEN, b"", None, encode(frame))
        made += fold.take_quotes(record, frame)
    made += fold.finish()
    chains = [one.facts for one in sorted(made, key=lambda one: one.offset)]
    refused = [
        (key.offset, key.reason, sorted(entry.indices), entry.events)
        for key, entry in ledger.rejects.items()
    ]
    counts = {
        "accepted": ledger.counts.accepted,
        "outside_session": ledger.counts.outside_session,
        "duplicates": ledger.counts.duplicates,
        "held": fold.held,
    }
    return chains, sorted(refused), counts


@pytest.mark.parametrize("cadence_ms", [0, 1_000, 7_000])
@pytest.mark.parametrize("seed", range(25))
def test_the_chains_of_wild_quotes_agree(seed: int, cadence_ms: int) -> None:
    rng = random.Random(seed)
    live, lateness_ms = rng.random() < 0.3, rng.choice([0, 2_000, 10_000])
    feed = WildQuotes(rng)
    log = [feed.frame() for _ in range(rng.choice([5, 60]))]
    calendar = nse_calendar()
    told, told_refusals, told_counts = told_of_quotes(
        log,
        Rules(calendar, lateness_ms, 60_000 if live else None, quote_cadence_ms=cadence_ms),
    )
    how = rules(live=live, allowed_lateness_ms=lateness_ms, quote_cadence_ms=cadence_ms)
    wanted, wanted_refusals, wanted_counts = wanted_of_quotes(log, how)
    assert (told_refusals, told_counts) == (wanted_refusals, wanted_counts)
    for mine, theirs in zip(wanted, told, strict=True):
        assert chain_apart(mine, facts_of_record(theirs)) == {}
