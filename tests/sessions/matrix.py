"""The cases of a session, several at once, each compared with the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from optionstream.deploy.stack import Addresses
from optionstream.schemas.settings import Settings
from tests.sessions.cases import Case, Session, reference
from tests.sessions.run import Outcome, Replayed, replayed

Tell = Callable[[Outcome], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Servers, the folder of the real data, one for logs, the seed of the kills, and how many cases
    run at a time."""

    addresses: Addresses
    settings: Settings
    data: Path
    folder: Path
    seed: int
    at_once: int


def session_outcomes(
    session: Session, cases: Sequence[Case], place: Place, tell: Tell
) -> list[Outcome]:
    """The reference against the batch computation, then the other ``cases`` against it. ``tell``
    is given each outcome as it comes."""
    with _run(reference(session), place) as first:
        first.verify()
        tell(first.outcome)

        def one(case: Case) -> Outcome:
            outcome = _compared(case, first, place)
            tell(outcome)
            return outcome

        with ThreadPoolExecutor(place.at_once) as pool:
            return [first.outcome, *pool.map(one, cases)]


def _compared(case: Case, first: Replayed, place: Place) -> Outcome:
    """What became of the case; also when it did not come to its end."""
    try:
        with _run(case, place) as other:
            other.compare(first)
            return other.outcome
    except (AssertionError, RuntimeError) as error:
        return Outcome(case, wrong=[str(error)])


def _run(case: Case, place: Place) -> AbstractContextManager[Replayed]:
    files = place.data / case.session.folder
    folder = place.folder / case.told.replace(", ", "-").replace(" ", "-")
    return replayed(case, files, place.addresses, place.settings, folder, place.seed)
