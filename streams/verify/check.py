"""One verification: what goes in, what came out, and every comparison between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import polars as pl

from optionstream.schemas.derived import PARTIAL
from optionstream.schemas.documents import TICKS
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import OHLC, SURFACE, Namespace
from optionstream.streams.core.market.calendar import Calendar
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.chains.latest import latest_chains
from optionstream.streams.verify.compare import compare, compare_frames
from optionstream.streams.verify.expect import Expectation
from optionstream.streams.verify.gaps.facts import GapFacts
from optionstream.streams.verify.gaps.holes import holes
from optionstream.streams.verify.gaps.silences import silences
from optionstream.streams.verify.kinds import (
    BAR_KEY,
    BARS,
    CHAINS,
    GAPS,
    KINDS,
    REJECTS,
    SURFACES,
    Kind,
    bar_id,
)
from optionstream.streams.verify.latest import (
    Document,
    compare_latest,
    latest_bars,
    latest_surfaces,
    latest_ticks,
)
from optionstream.streams.verify.ledger import Counts
from optionstream.streams.verify.outputs import Found, Outputs
from optionstream.streams.verify.reject_parts import expected_reject, reject_id
from optionstream.streams.verify.report import DIFFERENT, SURPLUS, Differences, Report
from optionstream.streams.verify.rules import Rules
from optionstream.streams.verify.stores import Mongo, stored_results, stored_ticks
from optionstream.streams.verify.ticks.expected_bars import ExpectedBars

_TICK_KEY = ("partition", "offset", "index")


class Check:
    """Takes the input (``take_inputs``) and the output (``take_outputs``), compares, then reports.

    ``partitions`` is the number of partitions by topic, input and output.
    """

    def __init__(
        self,
        namespace: Namespace,
        settings: Settings,
        calendar: Calendar,
        partitions: dict[str, int],
    ) -> None:
        rules = Rules(settings, calendar, partitions, namespace.is_live)
        self._namespace = namespace
        self._settings = settings
        self._differences = Differences()
        self._input = Expectation(rules)
        self._outputs = Outputs(partitions, self._differences)
        self._bars: ExpectedBars | None = None
        self._expected: dict[Kind, Mapping[str, Any]] = {}
        """What must be found of each kind but bars, by id."""
        self._has_surfaces = partitions.get(SURFACE, 0) > 0
        """False for a namespace of a release without surfaces: it has none anywhere."""
        self._report = Report(namespace.name)

    def take_inputs(self, records: Iterable[RawRecord]) -> None:
        """Take records of the input topics, each partition's in the order of its offsets."""
        self._input.take_records(records)

    def take_outputs(self, records: Iterable[RawRecord]) -> None:
        """Take records of the output topics, in any order."""
        self._outputs.take_records(records)

    def compare_kafka(self) -> None:
        """Compare what came out in Kafka; comes first, for it recomputes what must be found."""
        self._input.finish()
        found = self._outputs.found
        bars = found.bars
        self._recompute(bars)
        self._compare(found, {kind: f"kafka {kind.topic}" for kind in KINDS}, every=True)
        for row in self._expected_bars.wrong_partials().sort(BAR_KEY).iter_rows(named=True):
            wanted, id_ = "a partial bar that was true once", f"{bar_id(row)}|{row['ticks']}"
            self._differences.add(DIFFERENT, f"kafka {OHLC}", id_, wanted, row)
        self._note(
            bars=self._expected_bars.finals().height,
            partial_bars=bars.height - _finals(bars).height,
            **{kind.name: len(expected) for kind, expected in self._expected.items()},
            output_records=self._outputs.records,
        )

    def compare_mongo(self, db: Mongo) -> None:
        """Compare bars, gaps, chains, surfaces, rejects and raw ticks of MongoDB."""
        found = stored_results(db, self._differences)
        self._compare(found, {kind: f"mongo {kind.collection}" for kind in KINDS}, every=False)
        ticks, self._report.surplus_raw_ticks = stored_ticks(db)
        self._compare_ticks(ticks)
        self._note(
            mongo_bars=found.bars.height,
            **{f"mongo_{kind.name}": len(found.facts(kind)) for kind in self._expected},
            mongo_ticks=ticks.height,
        )

    def compare_redis(self, values: Mapping[str, Document | None]) -> None:
        """Compare the newest of everything, by Redis key without the namespace's prefix."""
        every_partial = self._settings.partial_every_ms == 0
        expected = {
            **latest_ticks(self._input.stored.latest()),
            **latest_bars(self._expected_bars.newest, every_partial=every_partial),
            **latest_chains(chain.from_iterable(self._input.chains.values())),
            **latest_surfaces(chain.from_iterable(self._expected[SURFACES].values())),
        }
        compare_latest(expected, values, self._differences, live=self._namespace.is_live)
        self._note(redis_keys=len(values))

    def compare_counts(self, counts: Mapping[str, Any]) -> None:
        """Compare the workers' own counts; those that are not given are not compared."""
        wanted = self._total().to_dict()
        for name, value in counts.items():
            found = {k: v for k, v in value.items() if v} if isinstance(value, dict) else value
            if name in wanted and found != wanted[name]:
                self._differences.add(DIFFERENT, "counts", name, wanted[name], found)

    def report(self) -> Report:
        """Return what all comparisons found."""
        total = self._total()
        if not total.balanced:
            self._differences.add(DIFFERENT, "counts", "source", "the sum of fates", total.source)
        self._report.counts = total
        self._report.counts_by_topic = self._input.counts()
        self._report.differences = self._differences.listed
        self._report.difference_totals = self._differences.by_place()
        return self._report

    def _recompute(self, bars: pl.DataFrame) -> None:
        """Recompute all results; the partial ones among the ``bars`` of Kafka are judged by it."""
        self._bars = ExpectedBars(bars)
        gaps: dict[str, list[GapFacts]] = {}
        for timeline in self._input.timelines():
            self._bars.take_timeline(timeline)
            for gap in chain(silences(timeline, self._settings.silence_ms), holes(timeline)):
                gaps[gap.id] = [gap]
        surfaces = self._input.surfaces() if self._has_surfaces else {}
        self._expected = {
            GAPS: gaps,
            CHAINS: self._input.chains,
            SURFACES: {id_: [surface] for id_, surface in surfaces.items()},
            REJECTS: {
                reject_id(key): [expected_reject(refused)]
                for key, refused in self._input.rejects().items()
            },
        }

    def _compare(self, found: Found, places: Mapping[Kind, str], *, every: bool) -> None:
        finals, differences = self._expected_bars.finals(), self._differences
        compare_frames(finals, _finals(found.bars), BAR_KEY, places[BARS], differences)
        for kind, expected in self._expected.items():
            where, facts = places[kind], found.facts(kind)
            compare(expected, facts, kind.judge, where, differences, every=every)

    def _compare_ticks(self, found: pl.DataFrame) -> None:
        """Compare the ticks of MongoDB: each must be there exactly once."""
        where = f"mongo {TICKS}"
        expected = self._input.stored.frame()
        compare_frames(expected, found, _TICK_KEY, where, self._differences)
        repeated = found.group_by(_TICK_KEY).len().filter(pl.col("len") > 1)
        for *place, count in repeated.iter_rows():
            id_ = "|".join(map(str, place))
            self._differences.add(SURPLUS, where, id_, "once", f"{count} times as read")

    @property
    def _expected_bars(self) -> ExpectedBars:
        if self._bars is None:
            raise RuntimeError("compare_kafka comes first")
        return self._bars

    def _total(self) -> Counts:
        return sum(self._input.counts().values(), Counts())

    def _note(self, **checked: int) -> None:
        self._report.checked.update(checked)


def _finals(bars: pl.DataFrame) -> pl.DataFrame:
    """Return the bars that are not partial."""
    return bars.filter(pl.col("revision") > PARTIAL)
