"""Draw the progress of a replay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from rich.progress import Progress as Bars
from rich.progress import TaskID

from optionstream.deploy.cli import output
from optionstream.deploy.replays.progress import Observer, Progress
from optionstream.schemas.errors import InputError
from optionstream.schemas.replays import State
from optionstream.schemas.times import ist

_VERBS = {State.RUNNING: "publishing", State.DRAINING: "published"}


class Drawing(Observer):
    """One bar for the input, one for each group; bad files are lines on stderr."""

    def __init__(self, bars: Bars, failures: output.Failures) -> None:
        self._bars = bars
        self._failures = failures
        self._input = bars.add_task("publishing", total=None, detail="")
        self._begun = 0
        self._groups: dict[str, tuple[TaskID, int]] = {}

    def report_files(self, count: int) -> None:
        self._bars.update(self._input, total=count)

    def start_file(self, path: Path) -> None:
        self._bars.update(self._input, completed=self._begun)
        self._begun += 1

    def report_error(self, error: InputError) -> None:
        self._failures.add_error(error)

    def report_progress(self, progress: Progress) -> None:
        verb = _VERBS.get(progress.state, progress.state.value)
        self._bars.update(self._input, description=verb, detail=progress_line(progress))

    def report_lag(self, group: str, left: int) -> None:
        if group not in self._groups:
            self._bars.update(self._input, completed=self._begun)
            self._groups[group] = (
                self._bars.add_task(f"{group} catches up", total=left, detail=""),
                left,
            )
        task, total = self._groups[group]
        self._bars.update(task, completed=total - left)

    def note(self, text: str) -> None:
        output.note(text)


def progress_line(progress: Progress) -> str:
    """Return a line such as ``2026-01-06 10:15:03 · 1,200 events/s · lag 0/3/12 · 0:04:10 left``.

    The lag is that of analytics, latest and history.
    """
    parts = []
    if progress.clock_ms is not None:
        parts.append(f"{ist(progress.clock_ms):%Y-%m-%d %H:%M:%S}")
    if progress.state is State.DRAINING:  # the groups have bars of their own
        return " · ".join([*parts, f"{progress.events:,} events"])
    parts.append(f"{progress.rate:,.0f} events/s")
    parts.append("lag " + "/".join(output.plain_cell(left) for left in progress.lag.values()))
    if progress.time_left_s is not None:
        parts.append(f"{timedelta(seconds=round(progress.time_left_s))} left")
    return " · ".join(parts)


@contextmanager
def watching(failures: output.Failures, as_json: bool = False) -> Iterator[Drawing]:
    """Yield an observer that draws progress while the block runs."""
    with output.progress(as_json) as bars:
        yield Drawing(bars, failures)
