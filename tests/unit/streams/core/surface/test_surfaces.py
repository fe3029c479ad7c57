"""Which chains are in a surface, when it goes out, and that neither packing nor restarts matter."""

from __future__ import annotations

import random

import msgspec
import pytest

from optionstream.schemas.times import DAY_MS
from optionstream.schemas.topics import (
    OPTION_CHAIN,
    OPTION_QUOTE,
    SURFACE,
    partition_for,
)
from optionstream.streams.core.chains.partition import ChainPartition
from optionstream.streams.core.intake import Output, Source
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.quotes.partition import QuotePartition
from optionstream.streams.core.rules import Rules
from tests.unit.streams.core.surface.building import (
    FAR,
    FEW,
    NEAR,
    NEXT,
    NOON,
    body,
    expiries,
    partition,
    quoted,
    quotes,
    record,
    surfaces,
    told,
    wild,
)
from tests.unit.streams.core.ticks.helpers import PARTITIONS, Record

Part = ChainPartition | QuotePartition


def test_a_surface_goes_out_with_the_chain_that_completes_its_capture() -> None:
    chains = [quoted(expiry, **body("a", 3)) for expiry in (NEXT, NEAR, FAR)]
    outputs = partition().apply([record(at, chain) for at, chain in enumerate(chains)])
    (surface,) = surfaces(outputs)
    assert [one.topic == SURFACE for one in outputs] == [False, False, False, True]
    assert outputs[-1].key == b"NIFTY"
    assert expiries(surface) == [NEAR, NEXT, FAR]
    assert (surface.expiries_captured, surface.expiries_in_capture) == (3, 3)
    assert (surface.number, surface.flags, surface.left_out) == (1, [], {})
    assert surface.id == f"NIFTY|{FAR}|{surface.smiles[-1].snapshot_id}|1"
    assert surface.iv[1][10] == pytest.approx(0.125)


def test_a_chain_that_comes_alone_makes_a_surface_with_what_is_known_of_the_day() -> None:
    found = told(
        quoted(NEAR, strikes=FEW),
        quoted(NEXT, ts=NOON + 5, strikes=FEW),
        quoted(NEAR, ts=NOON + 9, strikes=FEW),
    )
    assert [expiries(one) for one in found] == [[NEAR], [NEAR, NEXT], [NEAR, NEXT]]
    assert [smile.ts_event for smile in found[-1].smiles] == [NOON + 9, NOON + 5]
    assert [one.ts_event for one in found] == [NOON, NOON + 5, NOON + 9]
    assert [one.number for one in found] == [1, 2, 3]


def test_a_capture_that_another_ends_is_told_as_incomplete() -> None:
    found = told(
        quoted(NEAR, **body("a", 2)),
        quoted(NEAR, **body("b", 2, NOON + 1)),
        quoted(NEXT, **body("b", 2, NOON + 1)),
    )
    assert [one.capture_id for one in found] == ["a", "b"]
    assert [one.flags for one in found] == [["incomplete_capture"], []]
    assert [one.expiries_captured for one in found] == [1, 2]
    assert told(quoted(NEAR, **body("a", 2))) == []


def test_what_is_older_than_the_newest_of_its_expiry_takes_no_part() -> None:
    newest = quoted(NEAR, ts=NOON + 9, strikes=FEW)
    assert len(told(newest, quoted(NEAR, ts=NOON, strikes=FEW))) == 1
    assert len(told(newest, quoted(NEXT, ts=NOON - DAY_MS, strikes=FEW))) == 1
    late = quoted(NEAR, ts=NOON, strikes=FEW, capture_id="z")
    found = told(quoted(NEXT, **body("a", 2)), newest, late, quoted(NEAR, **body("a", 2)))
    assert [one.flags for one in found] == [["incomplete_capture"], []]


def test_the_next_day_begins_with_nothing() -> None:
    found = told(
        quoted(NEAR, strikes=FEW),
        quoted(NEXT, ts=NOON + 1, strikes=FEW),
        quoted(NEXT, ts=NOON + DAY_MS, strikes=FEW),
    )
    assert [expiries(one) for one in found] == [[NEAR], [NEAR, NEXT], [NEXT]]
    assert [one.number for one in found] == [1, 2, 1]
    assert [one.version for one in found] == sorted(one.version for one in found)


def test_the_same_content_under_another_number_counts_as_having_come_and_makes_nothing() -> None:
    first = [quoted(one, **body("a", 2), seq=at) for at, one in enumerate((NEAR, NEXT))]
    again = [quoted(one, **body("b", 2), seq=5 + at) for at, one in enumerate((NEAR, NEXT))]
    fresh = quoted(NEAR, **body("b", 2, NOON + 1), seq=9)
    assert len(told(*first, *again)) == 1
    found = told(*first, again[1], fresh)
    assert [one.expiries_captured for one in found] == [2, 2]
    assert found[-1].id == f"NIFTY|{NEAR}|{found[-1].smiles[0].snapshot_id}|2"
    assert len({one.id for one in found}) == 2


def test_an_expiry_without_a_smile_is_told_with_its_reason() -> None:
    unpriced = quoted(NEXT, strikes=FEW)
    nothing, some = [None] * len(FEW), [1.0] * len(FEW)
    legs = msgspec.structs.replace(unpriced.calls, last=nothing, oi=some)
    bare = msgspec.structs.replace(unpriced, calls=legs, puts=legs)
    found = told(quoted(NEAR, ts=NOON, strikes=FEW), bare)
    assert found[-1].left_out == {NEXT: "no_parity_pair"}
    assert expiries(found[-1]) == [NEAR]
    assert expiries(told(bare)[0]) == []


def test_a_later_expiry_of_less_variance_is_flagged() -> None:
    cheap = quoted(NEXT, volatility=0.05, strikes=FEW)
    assert told(quoted(NEAR, strikes=FEW), cheap)[-1].flags == ["calendar_arbitrage"]


# -- packing and restarts -------------------------------------------------------------------------


def play(part: Part, fresh: type[Part], records: list[Record], rng: random.Random) -> list[Output]:
    """All records in packs of any size, the partition restored between some of them."""
    outputs: list[Output] = []
    stored: dict[str, bytes] = {}
    while records:
        size = rng.choice([1, 2, 5, 100])
        pack, records = records[:size], records[size:]
        outputs += part.apply(pack)
        if rng.random() < 0.5:
            for name, data in part.take_segments().items():
                if data is None:
                    del stored[name]
                else:
                    stored[name] = data
            if rng.random() < 0.6:
                hot, part = part.hot(), fresh(part.source, part.rules)
                part.restore(hot, stored)
    return outputs


@pytest.mark.parametrize("seed", range(40))
def test_any_packing_and_any_restart_tells_the_same_surfaces(seed: int) -> None:
    rng = random.Random(seed)
    home = partition_for("NIFTY", PARTITIONS)
    for topic, kind, events in (
        (OPTION_CHAIN, ChainPartition, wild(rng)),
        (OPTION_QUOTE, QuotePartition, quotes(rng)),
    ):
        records = [record(at, event) for at, event in enumerate(events)]  # type: ignore[arg-type]
        source, rules = Source(topic, home, PARTITIONS), Rules(nse_calendar())
        alone = kind(source, rules)
        wanted = surfaces(out for one in records for out in alone.apply([one]))
        assert wanted
        assert surfaces(play(kind(source, rules), kind, records, rng)) == wanted


def test_a_state_of_a_release_without_surfaces_can_be_restored() -> None:
    part = partition()
    part.apply([record(0, quoted(NEAR, strikes=FEW))])
    hot = msgspec.msgpack.decode(part.hot())
    for product in hot[1]:
        product.pop()
    stored = {k: v for k, v in part.take_segments().items() if not k.startswith("smiles|") and v}
    restored = partition()
    restored.restore(msgspec.msgpack.encode(hot), stored)
    (surface,) = surfaces(restored.apply([record(1, quoted(NEXT, ts=NOON + 1, strikes=FEW))]))
    assert expiries(surface) == [NEXT]
