"""Read many one-tick records at once.

Foreign producers send one tick a record. Read one by one, each costs several times what its tick
costs; as lines of one text they are decoded in one call. Whatever is not plain, from a foreign
header to a bad number, is left to the reading of single records, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from optionstream.schemas.codec import FOREIGN_SCHEMA, HEADER, is_product
from optionstream.schemas.events import Tick
from optionstream.streams.core.intake import Incoming, Source, is_home
from optionstream.streams.core.ticks.columns import Run

_PLAIN = [(HEADER, FOREIGN_SCHEMA.encode())]
_decode_lines = msgspec.json.Decoder(Tick).decode_lines


def read_ticks(records: Sequence[Incoming], source: Source) -> dict[str, Run] | None:
    """Return the ticks of one-tick records as a run of each product, in order; None if any record
    has to be read by itself."""
    if not all(not record.headers or list(record.headers) == _PLAIN for record in records):
        return None
    ticks = _decode_ticks(records)
    if ticks is None:
        return None
    runs: dict[str, Run] = {}
    keys: dict[bytes | None, str] = {}
    for tick, record in zip(ticks, records, strict=True):
        product = keys.get(record.key)
        if product is None:
            product = tick.product
            if not (is_product(product) and is_home(product, record.key, source)):
                return None
            keys[record.key] = product
            runs[product] = Run(Tick, tick.source, tick.session, tick.seq is None)
        elif tick.product != product:
            return None
        run = runs[product]
        run.events.append(tick)
        run.records.append(record)
    return runs if all(map(_is_one_feed, runs.values())) else None


def _is_one_feed(run: Run) -> bool:
    """True if all ticks are of the run's feed, and all or none have a number."""
    return (
        all(tick.source == run.source for tick in run.events)
        and all(tick.session == run.session for tick in run.events)
        and [tick.seq for tick in run.events].count(None) in (0, len(run.events))
    )


def _decode_ticks(records: Sequence[Incoming]) -> list[Tick] | None:
    """Decode one tick from each record; None if any cannot be read so. No value may hold a line's
    end, so lines cannot run into each other."""
    values = [record.value for record in records]
    if None in values:
        return None
    text = b"\n".join(values)  # type: ignore[arg-type]
    if text.count(b"\n") != len(records) - 1:
        return None
    try:
        ticks = _decode_lines(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return ticks if len(ticks) == len(records) else None
