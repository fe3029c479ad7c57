"""One verification: what goes in, what came out, and every comparison between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import polars as pl

from optionstream.schemas.documents import BARS, CHAINS, GAPS, REJECTS, SURFACES
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import CHAIN, SURFACE, Namespace
from optionstream.schemas.topics import GAPS as GAPS_TOPIC
from optionstream.schemas.topics import OHLC as OHLC_TOPIC
from optionstream.schemas.topics import REJECTS as REJECTS_TOPIC
from optionstream.streams.core.market.calendar import Calendar
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.chains.compare import (
    compare_chains,
    compare_newest_chains,
    newest_chains,
)
from optionstream.streams.verify.expect import Expectation
from optionstream.streams.verify.gaps.compare import GapFacts, compare_gaps
from optionstream.streams.verify.gaps.holes import holes
from optionstream.streams.verify.gaps.silences import silences
from optionstream.streams.verify.ledger import Counts
from optionstream.streams.verify.outputs import Outputs
from optionstream.streams.verify.reject_parts import expected_facts, told_facts
from optionstream.streams.verify.report import DIFFERENT, Differences, Report
from optionstream.streams.verify.rules import Rules
from optionstream.streams.verify.stores import (
    Mongo,
    stored_bars,
    stored_chains,
    stored_gaps,
    stored_rejects,
    stored_surfaces,
    stored_ticks,
)
from optionstream.streams.verify.surface.compare import (
    compare_newest_surfaces,
    compare_surfaces,
)
from optionstream.streams.verify.surface.expected import Surface
from optionstream.streams.verify.ticks.compare import (
    compare_bars,
    compare_latest_ticks,
    compare_newest_bars,
    compare_rejects,
    compare_stored_ticks,
    finals_told,
    report_partials,
)
from optionstream.streams.verify.ticks.expected_bars import ExpectedBars
from optionstream.streams.verify.ticks.window_book import BAR_COLUMNS


class Check:
    """Feed the input (``take_inputs``), the output (``take_outputs``), compare, then ``report``.

    ``partitions`` is the number of partitions by topic, input and output.
    """

    def __init__(
        self,
        namespace: Namespace,
        settings: Settings,
        calendar: Calendar,
        partitions: dict[str, int],
    ) -> None:
        rules = Rules.of(settings, calendar, partitions, live=namespace.is_live)
        self._namespace = namespace
        self._settings = settings
        self._differences = Differences()
        self._expected = Expectation(rules)
        self._told = Outputs(partitions, self._differences)
        self._bars: ExpectedBars | None = None
        self._finals = pl.DataFrame(schema=BAR_COLUMNS)
        self._gaps: dict[str, GapFacts] = {}
        self._surfaces: dict[str, Surface] = {}
        self._has_surfaces = partitions.get(SURFACE, 0) > 0
        """A namespace of a release without surfaces has none, in whatever place."""
        self._report = Report(namespace.name)

    def take_inputs(self, records: Iterable[RawRecord]) -> None:
        """Records of the input topics; each partition's in the order of its offsets."""
        self._expected.take_all(records)

    def take_outputs(self, records: Iterable[RawRecord]) -> None:
        """Records of the output topics, in any order."""
        self._told.take_all(records)

    def compare_kafka(self) -> None:
        """What came out in Kafka. Comes first: the other comparisons need what it recomputes."""
        differences = self._differences
        told = self._told.bars()
        self._expected.finish()
        self._recompute(told)
        compare_bars(self._finals, finals_told(told), f"kafka {OHLC_TOPIC}", differences)
        compare_gaps(self._gaps, self._told.gaps, f"kafka {GAPS_TOPIC}", differences)
        chains, where = self._expected.chains, f"kafka {CHAIN}"
        compare_chains(chains, self._told.chains, where, differences, every=True)
        self._compare_surfaces()
        rejects = expected_facts(self._expected.rejects())
        told_rejects = told_facts(self._told.rejects)
        compare_rejects(rejects, told_rejects, f"kafka {REJECTS_TOPIC}", differences)
        self._note(
            bars=self._finals.height,
            partial_bars=told.height - finals_told(told).height,
            gaps=len(self._gaps),
            chains=len(chains),
            surfaces=len(self._surfaces),
            rejects=len(rejects),
            output_records=self._told.records,
        )

    def _compare_surfaces(self) -> None:
        """Recompute the surfaces, and compare them with those of Kafka."""
        if self._has_surfaces:
            self._surfaces = self._expected.surfaces()
        where = f"kafka {SURFACE}"
        compare_surfaces(self._surfaces, self._told.surfaces, where, self._differences)

    def compare_mongo(self, db: Mongo) -> None:
        """Bars, gaps, chains, rejects and raw ticks of MongoDB."""
        differences = self._differences
        bars = stored_bars(db, differences)
        compare_bars(self._finals, bars, f"mongo {BARS}", differences)
        gaps = stored_gaps(db, differences)
        compare_gaps(self._gaps, gaps, f"mongo {GAPS}", differences)
        chains = stored_chains(db, differences)
        expected = self._expected.chains
        compare_chains(expected, chains, f"mongo {CHAINS}", differences, every=False)
        surfaces = stored_surfaces(db, differences)
        compare_surfaces(self._surfaces, surfaces, f"mongo {SURFACES}", differences)
        rejects = expected_facts(self._expected.rejects())
        told = told_facts(stored_rejects(db, differences))
        compare_rejects(rejects, told, f"mongo {REJECTS}", differences)
        ticks, self._report.surplus_raw_ticks = stored_ticks(db)
        compare_stored_ticks(self._expected.stored.frame(), ticks, differences)
        self._note(
            mongo_bars=bars.height,
            mongo_gaps=len(gaps),
            mongo_chains=len(chains),
            mongo_surfaces=len(surfaces),
            mongo_rejects=len(told),
            mongo_ticks=ticks.height,
        )

    def compare_redis(self, values: Mapping[str, dict[str, Any] | None]) -> None:
        """The newest of everything, by Redis key without the namespace's prefix."""
        live = self._namespace.is_live
        compare_latest_ticks(self._expected.stored.latest(), values, self._differences)
        compare_newest_bars(
            self._expected_bars.newest,
            values,
            may_expire=live,
            every_partial=self._settings.partial_every_ms == 0,
            differences=self._differences,
        )
        newest = newest_chains(self._expected.chains)
        compare_newest_chains(newest, values, may_expire=live, differences=self._differences)
        compare_newest_surfaces(
            self._surfaces, values, may_expire=live, differences=self._differences
        )
        self._note(redis_keys=len(values))

    def compare_counts(self, counts: Mapping[str, Any]) -> None:
        """The workers' own counts; those that are not given are not compared."""
        wanted = self._total().to_dict()
        for name, value in counts.items():
            told = {k: v for k, v in value.items() if v} if isinstance(value, dict) else value
            if name in wanted and told != wanted[name]:
                self._differences.add(DIFFERENT, "counts", name, wanted[name], told)

    def report(self) -> Report:
        total = self._total()
        if not total.balanced:
            self._differences.add(DIFFERENT, "counts", "source", "the sum of fates", total.source)
        self._report.counts = total
        self._report.counts_by_topic = self._expected.counts()
        self._report.differences = self._differences.listed
        self._report.difference_totals = {
            f"{where}: {kind}": count for (where, kind), count in self._differences.totals.items()
        }
        return self._report

    def _recompute(self, told: pl.DataFrame) -> None:
        """The bars and gaps of every product; ``told`` are the bars of Kafka."""
        self._bars = bars = ExpectedBars(told)
        for timeline in self._expected.timelines():
            bars.take(timeline)
            for facts in chain(silences(timeline, self._settings.silence_ms), holes(timeline)):
                self._gaps[facts.id] = facts
        self._finals = bars.finals()
        report_partials(bars.wrong_partials(), self._differences)

    @property
    def _expected_bars(self) -> ExpectedBars:
        if self._bars is None:
            raise RuntimeError("compare_kafka comes first")
        return self._bars

    def _total(self) -> Counts:
        return sum(self._expected.counts().values(), Counts())

    def _note(self, **checked: int) -> None:
        self._report.checked.update(checked)
