"""Snapshots analysed together tell what each tells alone, to the last bit."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from optionstream.schemas.codec import encode
from optionstream.schemas.derived import IvMode
from optionstream.schemas.events import ChainSnapshot
from optionstream.streams.core.chains.analyse import Accepted, ExpiryChains, analyse
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.rules import Rules
from tests.unit.streams.wild_chains import WildChains

EXPIRIES, SNAPSHOTS = 3, 60


def told(
    feed: Sequence[tuple[int, ChainSnapshot]], rules: Rules, sizes: Iterator[int]
) -> tuple[list[bytes], list[bytes]]:
    """The records of a feed of (expiry, snapshot) analysed so many at a time, and what is
    remembered in the end."""
    books = [ExpiryChains() for _ in range(EXPIRIES)]
    records: list[bytes] = []
    at = 0
    while at < len(feed):
        part = feed[at : at + next(sizes)]
        accepted = [Accepted(books[book], chain, chain.ts_recv) for book, chain in part]
        records += [encode(record) for record in analyse(accepted, rules)]
        at += len(part)
    return records, [book.pack() for book in books]


@pytest.mark.parametrize("mode", ["black76", "nse"])
@pytest.mark.parametrize("seed", range(20))
def test_together_or_one_by_one_is_the_same(seed: int, mode: IvMode) -> None:
    rng = random.Random(seed)
    wild = [WildChains(rng) for _ in range(EXPIRIES)]
    feed = [(book, wild[book].next()) for book in rng.choices(range(EXPIRIES), k=SNAPSHOTS)]
    rules = Rules(nse_calendar(), iv_mode=mode)
    alone = told(feed, rules, iter(lambda: 1, 0))
    assert told(feed, rules, iter(lambda: SNAPSHOTS, 0)) == alone
    assert told(feed, rules, iter(lambda: rng.choice([1, 2, 5, 17]), 0)) == alone


def test_nothing_is_analysed_of_nothing() -> None:
    assert analyse([], Rules(nse_calendar())) == []
