"""Frames cut into parts, and streams side by side."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from optionstream.producers.playback import EventPiece, by_time, framed, side_by_side, sliced
from optionstream.schemas.events import MarketEvent, TickFrame
from tests.unit.producers.playback.support import beat, candles, frame, quotes, stamps


def pieces(*events: MarketEvent) -> list[EventPiece]:
    return [EventPiece(event) for event in events]


def test_a_candle_is_complete_at_its_end() -> None:
    assert EventPiece(candles(0, 120_000, 60_000)).reach == [60_000, 180_000, 180_000]


def test_the_parts_of_a_frame_have_its_rows_and_a_receipt_of_their_own() -> None:
    whole = frame(1_000, 1_500, 3_000)
    first, rest = EventPiece(whole).cut(2)
    assert isinstance(first.event, TickFrame) and isinstance(rest.event, TickFrame)
    for column in ("ts_ms", "price", "seq", "volume"):
        parts = getattr(first.event, column) + getattr(rest.event, column)
        assert parts == getattr(whole, column)
    assert (first.event.ts_recv, rest.event.ts_recv) == (1_500, 3_000)
    assert (first.events, rest.events) == (2, 1)


def test_a_receipt_that_the_source_told_stays_and_that_of_quotes_too() -> None:
    told = TickFrame(
        **{n: getattr(frame(1, 2), n) for n in TickFrame.__struct_fields__} | {"ts_recv": 9}
    )
    for event in (told, quotes(1, 2)):
        first, rest = EventPiece(event).cut(1)
        assert first.event.ts_recv == rest.event.ts_recv == event.ts_recv


def test_a_slice_holds_one_second() -> None:
    found = list(sliced(pieces(frame(0, 400, 1_000, 900, 2_100), beat(5_000))))
    assert stamps(found) == [[0, 400], [1_000, 900], [2_100]]
    assert isinstance(found[-1].event, type(beat(0)))


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=40), st.integers(1, 12), st.booleans())
def test_a_frame_in_parts_of_any_size_has_its_rows_in_order_and_a_receipt_for_each_part(
    times: list[int], rows: int, told: bool
) -> None:
    whole = frame(*times)
    if told:
        whole = replace(whole, ts_recv=whole.ts_recv + 1)
    parts = [piece.event for piece in framed(pieces(whole, beat(9_000)), rows)]
    assert parts.pop() == beat(9_000)
    frames = [part for part in parts if isinstance(part, TickFrame)]
    sizes = [len(part.ts_ms) for part in frames]
    assert sizes[:-1] == [rows] * (len(sizes) - 1)
    assert 0 < sizes[-1] <= rows
    for column in ("ts_ms", "price", "seq", "volume"):
        assert [value for part in frames for value in getattr(part, column)] == getattr(
            whole, column
        )
    reached = list(accumulate(times, max))
    for part, end in zip(frames, accumulate(sizes), strict=True):
        assert part.ts_recv == (whole.ts_recv if told else reached[end - 1])


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=40))
def test_slices_end_exactly_where_the_time_reached_passes_a_second(times: list[int]) -> None:
    parts = stamps(list(sliced(pieces(frame(*times)))))
    assert [one for part in parts for one in part] == times
    reached = iter(accumulate(times, max))
    seconds = [{next(reached) // 1_000 for _ in part} for part in parts]
    assert all(len(one) == 1 for one in seconds)
    assert all(one != other for one, other in pairwise(seconds))


def test_lanes_go_by_time_and_each_in_its_own_order() -> None:
    one = pieces(frame(1), frame(9), frame(4), frame(10))
    other = pieces(frame(2), frame(9), frame(12))
    assert stamps(list(by_time([one, other]))) == [[1], [2], [9], [4], [9], [10], [12]]


def test_a_frame_goes_side_by_side_with_what_came_while_it_filled() -> None:
    stream = pieces(beat(20, "A"), frame(1, product="B"), frame(25, product="B"), beat(40, "A"))
    found = side_by_side(stream, 30, lambda piece: piece.event.product)
    assert [piece.reach[-1] for piece in found] == [1, 20, 25, 40]


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 50))), st.integers(0, 60))
def test_side_by_side_loses_nothing_and_keeps_the_order_of_each_lane(
    given_events: list[tuple[str, int]], horizon_ms: int
) -> None:
    stream = pieces(*(beat(at, product) for product, at in given_events))
    found = list(side_by_side(stream, horizon_ms, lambda piece: piece.event.product))
    for product in "ABC":
        mine = [piece.event for piece in stream if piece.event.product == product]
        assert [piece.event for piece in found if piece.event.product == product] == mine
