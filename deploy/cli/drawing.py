"""Draws the progress of a replay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress, TaskID

from optionstream.deploy.cli import output
from optionstream.deploy.replay import Observer
from optionstream.producers.feeds import Feed
from optionstream.producers.publisher_settings import PublishStats
from optionstream.schemas.errors import InputError

_DRAW_EVERY = 64


class Drawing(Observer):
    """One bar for the files, one for each group; bad files are lines on stderr."""

    def __init__(self, bars: Progress, failures: output.Failures) -> None:
        self._bars = bars
        self._failures = failures
        self._files = bars.add_task("publishing", total=None, detail="")
        self._begun = 0
        self._groups: dict[str, tuple[TaskID, int]] = {}

    def files(self, count: int) -> None:
        self._bars.update(self._files, total=count)

    def file(self, feed: Feed) -> None:
        self._bars.update(self._files, completed=self._begun, detail=feed.path.name)
        self._begun += 1

    def bad(self, error: InputError) -> None:
        self._failures.add(error)

    def published(self, stats: PublishStats) -> None:
        if stats.records % _DRAW_EVERY == 0:
            self._bars.update(self._files, detail=stats.told)

    def waiting(self, group: str, left: int) -> None:
        if group not in self._groups:
            self._bars.update(self._files, completed=self._begun)
            self._groups[group] = self._bars.add_task(f"{group} reads", total=left, detail=""), left
        task, total = self._groups[group]
        self._bars.update(task, completed=total - left)

    def note(self, text: str) -> None:
        output.note(text)


@contextmanager
def watching(failures: output.Failures, as_json: bool = False) -> Iterator[Drawing]:
    """An observer that draws while the block runs."""
    with output.progress(as_json) as bars:
        yield Drawing(bars, failures)
