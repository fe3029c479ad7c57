"""What is replayed, and in which ways. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

FASTER = 3_600.0
"""An hour of a session in a second."""
FRAMES = (1_000, 1)
WORKERS = (1, 3)


@dataclass(frozen=True, slots=True)
class Session:
    """Real input in a folder of the shared data: the files that ``patterns`` name."""

    name: str
    folder: str
    patterns: tuple[str, ...]
    framed: bool
    """It is of ticks, so that records may have any number of them; a chain is one record."""

    def paths(self, folder: Path) -> list[Path]:
        """Its files, in the order of their names. FileNotFoundError when there are none."""
        found = [path for pattern in self.patterns for path in sorted(folder.glob(pattern))]
        if not found:
            raise FileNotFoundError(f"{folder}: no files {', '.join(self.patterns)}")
        return found


TICKS = Session("ticks", "ticks-nifty-1s-2022", ("*.csv.gz",), True)
CHAINS = Session("chains", "nse-json-intraday-nifty-2025", ("json/*.json.gz",), False)
TICK_DAY = Session("a day of ticks", TICKS.folder, ("2022-08-10.csv.gz",), True)
CHAIN_DAY = Session("a day of chains", CHAINS.folder, ("json/*_nse20251114T*",), False)


@dataclass(frozen=True, slots=True)
class Case:
    """One way to replay a session. ``speed`` None is as fast as it goes; ``frame`` is the most
    ticks in a record, ``workers`` how many analytics workers there are."""

    session: Session
    speed: float | None = None
    frame: int = FRAMES[0]
    workers: int = WORKERS[0]
    killed: bool = False

    @property
    def row(self) -> dict[str, str]:
        """How a table tells it."""
        return {
            "session": self.session.name,
            "speed": "max" if self.speed is None else f"{self.speed:,.0f}x",
            "frame": f"{self.frame:,}" if self.session.framed else "–",
            "workers": str(self.workers),
        }

    @property
    def told(self) -> str:
        """In a line."""
        killed = ", kills" if self.killed else ""
        return ", ".join(f"{name} {value}" for name, value in self.row.items()) + killed


def reference(session: Session) -> Case:
    """The case that all others of a session are compared with: fast, large, alone, undisturbed."""
    return Case(session)


def every(session: Session) -> list[Case]:
    """Every other combination."""
    frames = FRAMES if session.framed else FRAMES[:1]
    cases = [
        Case(session, speed, frame, workers, killed)
        for killed, speed, workers, frame in product((False, True), (None, FASTER), WORKERS, frames)
    ]
    return [case for case in cases if case != reference(session)]


def pairs(session: Session) -> list[Case]:
    """The fewest that, with the reference, have every two values of any two settings together."""
    slow, large, small, many = FASTER, *FRAMES, WORKERS[-1]
    if not session.framed:
        return [
            Case(session, slow, workers=many),
            Case(session, slow, killed=True),
            Case(session, workers=many, killed=True),
        ]
    return [
        Case(session, None, small, many, True),
        Case(session, slow, small, killed=True),
        Case(session, slow, large, many, True),
        Case(session, slow, small, many),
    ]


def share(cases: list[Case], text: str) -> list[Case]:
    """Return a share of the cases: ``1/2`` is the first of two, every second case from the first.

    ValueError for what is no share.
    """
    number, _, of = text.partition("/")
    at, count = int(number), int(of or 1)
    if not 1 <= at <= count:
        raise ValueError(f"{text}: 1/2 is the first of two shares")
    return cases[at - 1 :: count]


def extreme(session: Session) -> Case:
    """As far from the reference as it goes."""
    return Case(session, FASTER, FRAMES[-1], WORKERS[-1], True)
