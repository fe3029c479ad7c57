"""The files: whole or not there, each row once, whatever ends the writer, whoever else writes."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optionstream.schemas.derived import Bar, ChainAnalytics
from optionstream.schemas.errors import ArchiveError
from optionstream.schemas.files.feature_file import decode_rows, encode_rows
from optionstream.schemas.files.feature_rows import (
    LOCK,
    PARTIAL,
    POSITIONS,
    Row,
    file_order,
    newest,
)
from optionstream.schemas.topics import CHAIN, OHLC
from optionstream.streams.sinks.features.store import FeatureStore, read_positions
from optionstream.streams.sinks.features.writer import FeatureWriter
from optionstream.streams.sinks.loop import file_lock
from optionstream.streams.sinks.loop.file_lock import ArchiveBusy, locked
from tests.harness import feature_model as model
from tests.harness import records as support
from tests.harness.feature_model import NEAR, NEXT, batch, told
from tests.unit.streams.sinks.features.opened import IDLE, IDS, RULES, opened

RNGS = st.integers(0, 1 << 32).map(random.Random)
SOME = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Worker:
    """A worker of one partition whose topics are lists; killed by leaving it."""

    def __init__(self, folder: Path, bars: Sequence[Bar], chains: Sequence[ChainAnalytics]) -> None:
        self.store = opened(folder)
        self.writer = FeatureWriter(self.store, RULES)
        self._logs: dict[str, Sequence[Any]] = {OHLC: bars, CHAIN: chains}
        begin = self.writer.start_partitions(IDS)
        self.at = {topic: begin.get((topic, 0), 0) for topic in self._logs}

    def read(self, topic: str, count: int) -> None:
        for _ in range(min(count, len(self._logs[topic]) - self.at[topic])):
            record, offset = self._logs[topic][self.at[topic]], self.at[topic]
            if topic == OHLC:
                self.writer.add_bar(0, offset, record)
            else:
                self.writer.add_chain(0, offset, record)
            self.at[topic] += 1

    @property
    def done(self) -> bool:
        return all(self.at[topic] == len(log) for topic, log in self._logs.items())

    def read_all(self) -> None:
        for topic in self._logs:
            self.read(topic, len(self._logs[topic]))

    def close(self) -> None:
        self.store.close()


@contextmanager
def folders() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("date=*/*"))}


def rows_in(folder: Path) -> list[Row]:
    return [row for path in sorted(folder.glob("date=*/*")) for row in decode_rows(path)]


def straight(folder: Path, bars: Sequence[Bar], chains: Sequence[ChainAnalytics]) -> None:
    worker = Worker(folder, bars, chains)
    worker.read_all()
    worker.writer.write_rows()
    worker.writer.write_rows(IDLE)
    worker.close()


def check_rows(folder: Path) -> list[Row]:
    """Each revision of each bar once, from 1 on without a hole, in order."""
    rows = rows_in(folder)
    by_bar: dict[Any, list[int]] = {}
    for row in rows:
        by_bar.setdefault((row["product"], row["interval"], row["start"]), []).append(
            row["revision"]
        )
    assert all(revisions == list(range(1, len(revisions) + 1)) for revisions in by_bar.values())
    for path in folder.glob("date=*/*"):
        kept = decode_rows(path)
        assert kept == sorted(kept, key=file_order)
    return rows


@SOME
@given(model.bars(), model.chains(), RNGS)
def test_killed_at_any_time_the_files_are_those_of_a_straight_run(
    bars: list[Bar], chains: list[ChainAnalytics], rng: random.Random
) -> None:
    with folders() as once, folders() as killed:
        straight(once, bars, chains)
        worker = Worker(killed, bars, chains)
        while not worker.done:
            worker.read(rng.choice((OHLC, CHAIN)), rng.choice((1, 5, 60)))
            if rng.random() < 0.5:
                worker.writer.write_rows()
            if rng.random() < 0.3:
                worker.close()
                worker = Worker(killed, bars, chains)
        worker.writer.write_rows()
        worker.writer.write_rows(IDLE)
        assert files(killed) == files(once)
        assert told(newest(check_rows(killed))) == batch(bars, chains)
        before = files(killed)
        worker.close()
        worker = Worker(killed, bars, chains)  # one that only comes back
        worker.read_all()
        assert worker.writer.write_rows() + worker.writer.write_rows(IDLE) == 0
        assert files(killed) == before
        worker.close()


@SOME
@given(model.bars(), model.chains(), RNGS)
def test_two_workers_on_one_partition_with_late_chains_and_idle_times_do_no_harm(
    bars: list[Bar], chains: list[ChainAnalytics], rng: random.Random
) -> None:
    """A zombie writes old rows and old positions whenever it likes."""
    shuffled = list(chains)
    rng.shuffle(shuffled)
    with folders() as folder:
        pair = [Worker(folder, bars, shuffled) for _ in range(2)]
        while not pair[1].done:
            worker = rng.choice(pair)
            worker.read(rng.choice((OHLC, CHAIN)), rng.choice((1, 5, 60)))
            if rng.random() < 0.5:
                worker.writer.write_rows(IDLE if rng.random() < 0.3 else None)
        pair[1].writer.write_rows(IDLE)
        for worker in rng.sample(pair, 2):
            worker.writer.write_rows(IDLE if rng.random() < 0.5 else None)
            worker.close()
        assert told(newest(check_rows(folder))) == batch(bars, chains)
        last = Worker(folder, bars, shuffled)  # whatever the positions are now
        last.read_all()
        last.writer.write_rows(IDLE)
        last.close()
        assert told(newest(check_rows(folder))) == batch(bars, chains)


def two_rows(folder: Path) -> Worker:
    worker = Worker(
        folder, [support.bar(0), support.bar(1)], [model.chain(30_000, NEAR), model.chain(1, NEXT)]
    )
    worker.read_all()
    return worker


def test_a_crash_between_rows_and_positions_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = two_rows(tmp_path)
    with monkeypatch.context() as patch:

        def killed(*_: object) -> None:
            raise RuntimeError("killed")

        patch.setattr(FeatureStore, "_note", killed)
        with pytest.raises(RuntimeError):
            worker.writer.write_rows(IDLE)
    worker.close()
    before = files(tmp_path)
    assert before and not (tmp_path / POSITIONS).exists()
    worker = two_rows(tmp_path)
    assert worker.writer.write_rows(IDLE) == 0
    assert files(tmp_path) == before
    worker.close()


def test_what_the_store_refused_is_written_with_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_lock, "LOCK_WAIT_S", 0.05)
    worker = two_rows(tmp_path)
    with (
        (tmp_path / LOCK).open("rb") as other,
        locked(other.fileno(), "it"),
        pytest.raises(ArchiveBusy),
    ):
        worker.writer.write_rows(IDLE)
    assert rows_in(tmp_path) == []
    assert worker.writer.write_rows(IDLE) == 2
    assert len(check_rows(tmp_path)) == 2
    worker.close()


def test_a_half_written_file_is_never_seen_and_goes_with_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = two_rows(tmp_path)

    def torn(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", torn)
        with pytest.raises(KeyboardInterrupt):
            worker.writer.write_rows(IDLE)
    assert len(list((tmp_path / PARTIAL).iterdir())) == 1
    assert files(tmp_path) == {}
    worker.close()
    opened(tmp_path).close()
    assert list((tmp_path / PARTIAL).iterdir()) == []


def test_positions_are_those_of_the_first_record_of_every_open_date(tmp_path: Path) -> None:
    worker = two_rows(tmp_path)
    worker.writer.skip_record(OHLC, 0, 6)
    worker.writer.write_rows(IDLE)
    assert read_positions(tmp_path).offsets == {"bars-1/0": 0, "chains-1/0": 0}
    assert worker.writer.next_offsets(0) == {OHLC: 7, CHAIN: 2}
    worker.close()


def test_a_recreated_topic_begins_at_its_beginning(tmp_path: Path) -> None:
    two_rows(tmp_path).writer.write_rows(IDLE)
    writer = FeatureWriter(opened(tmp_path), RULES)
    assert writer.start_partitions({(OHLC, 0): "bars-2", (CHAIN, 0): "chains-1"}) == {(CHAIN, 0): 0}


def test_bars_that_wait_are_told_until_they_have_a_row(tmp_path: Path) -> None:
    worker = two_rows(tmp_path)
    worker.writer.write_rows()
    assert read_positions(tmp_path).waiting == {"NIFTY": 2}
    worker.writer.write_rows(IDLE)
    assert read_positions(tmp_path).waiting == {}
    worker.close()


def test_the_rows_of_a_file_come_back_as_they_went_in(tmp_path: Path) -> None:
    two_rows(tmp_path).writer.write_rows(IDLE)
    rows = rows_in(tmp_path)
    path = tmp_path / "copy.parquet"
    path.write_bytes(encode_rows(rows))
    assert decode_rows(path) == rows
    assert encode_rows(rows) == path.read_bytes()


def test_what_is_no_file_of_features_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    worker = two_rows(tmp_path)
    place = tmp_path / "date=2025-10-27" / "NIFTY.parquet"
    place.parent.mkdir()
    place.write_bytes(b"PAR1 not")
    with pytest.raises(ArchiveError, match=r"NIFTY\.parquet: cannot be read"):
        worker.writer.write_rows(IDLE)
    assert place.read_bytes() == b"PAR1 not"
    import polars as pl

    pl.DataFrame({"a": [1]}).write_parquet(place)
    with pytest.raises(ArchiveError, match="not a file of features"):
        worker.writer.write_rows(IDLE)
    worker.close()


def test_a_folder_that_cannot_be_written_or_was_taken_away_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "features").touch()
    with pytest.raises(ArchiveError, match=r"features .*: "):
        opened(tmp_path / "features")
    store = opened(tmp_path / "other")
    (tmp_path / "other" / LOCK).unlink()
    with pytest.raises(ArchiveError, match="No such file"):
        store.check_folder()
    (tmp_path / "other" / LOCK).touch()
    with pytest.raises(ArchiveError, match="replaced"):
        store.check_folder()


def test_damaged_positions_are_named_with_the_remedy(tmp_path: Path) -> None:
    store = opened(tmp_path)
    (tmp_path / POSITIONS).write_text("{")
    with pytest.raises(ArchiveError, match="delete it"):
        store.read_offsets()
