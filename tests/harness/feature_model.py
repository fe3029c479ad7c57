"""The join as a batch over everything there is, and input to try it on.

Nothing of the code under test is used: no as-of structure, no watermark, no merging.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
from hypothesis import strategies as st

from optionstream.schemas.derived import INTERVAL_MS, Bar, ChainAnalytics
from tests.harness import records as support

GRACE_MS = 2_000
LATENESS_MS = 2_000
MAX_AGE_MS = 420_000
MINUTE_MS = 60_000
NEAR, NEXT, FAR = "2025-10-28", "2025-11-04", "2025-11-25"
EXPIRED = "2025-10-21"
_IST = timezone(timedelta(hours=5, minutes=30))


def date_of(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, _IST).date().isoformat()


def chain(at_ms: int, expiry: str, delay_ms: int = 0, mark: int = 0, **changes: Any) -> Any:
    """A chain of ``at_ms`` after the open, received ``delay_ms`` later; ``mark`` is its content."""
    made = support.chain(0, expiry)
    moment = support.OPEN_MS + at_ms
    fields = {
        "ts_event": moment,
        "ts_recv": moment + delay_ms,
        "known_at": moment + delay_ms,
        "snapshot_id": f"{moment}-{mark:016x}",
        "pcr_oi": mark / 7,
    }
    return msgspec.structs.replace(made, **(fields | changes))


def batch(bars: Iterable[Bar], chains: Sequence[ChainAnalytics]) -> dict[Any, dict[str, Any]]:
    """By product, interval, start: the columns that say which bar and which chains."""
    rows: dict[Any, dict[str, Any]] = {}
    for bar in sorted(bars, key=lambda one: one.revision):
        if not bar.final or bar.interval == "1d":
            continue
        usable: dict[str, ChainAnalytics] = {}
        for one in chains:
            if (
                one.product == bar.product
                and date_of(one.ts_event) == date_of(bar.start)
                and one.expiry >= date_of(bar.start)
                and one.ts_event <= bar.end
                and one.ts_recv <= bar.end + GRACE_MS
            ):
                held = usable.get(one.expiry)
                if held is None or held.version < one.version:
                    usable[one.expiry] = one
        row = {"bar_revision": bar.revision, "close": bar.close, "known_at": bar.known_at}
        for rank, expiry in zip(("near", "next"), [*sorted(usable), None, None], strict=False):
            told = usable.get(expiry) if expiry else None
            silent = told is not None and bar.end - told.ts_event > MAX_AGE_MS
            row |= {
                f"{rank}_expiry": told and told.expiry,
                f"{rank}_snapshot_id": told and told.snapshot_id,
                f"{rank}_reason": "no_chain_yet"
                if told is None
                else "chain_silent"
                if silent
                else None,
                f"{rank}_pcr_oi": None if told is None or silent else told.pcr_oi,
                f"{rank}_age_ms": None if told is None else bar.end - told.ts_event,
            }
            if told is not None:
                row["known_at"] = max(row["known_at"], told.known_at)
        rows[bar.product, bar.interval, bar.start] = row
    return rows


def told(rows: Iterable[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """The same columns of rows that were made."""
    names = ["bar_revision", "close", "known_at"]
    names += [
        f"{rank}_{name}"
        for rank in ("near", "next")
        for name in ("expiry", "snapshot_id", "reason", "pcr_oi", "age_ms")
    ]
    return {
        (row["product"], row["interval"], row["start"]): {name: row[name] for name in names}
        for row in rows
    }


MINUTES = 20
PRODUCTS = ("NIFTY", "BANKNIFTY")


@st.composite
def bars(draw: st.DrawFn) -> list[Bar]:
    """Bars of one session in the order in which they become final, some of them revised."""
    made = []
    for product in PRODUCTS:
        for interval in ("1m", "5m", "15m", "1d"):
            windows = -(-MINUTES * MINUTE_MS // INTERVAL_MS[interval])
            numbers = st.sets(st.integers(0, windows - 1), max_size=5)
            empty, revised, again = draw(numbers), draw(numbers), draw(numbers)
            for window in set(range(windows)) - empty:
                latest = 1 + (window in revised) + (window in again)
                for revision in range(latest + 1):
                    close = 24_000.0 + revision
                    made.append(
                        support.bar(window, revision, 10 + revision, interval, product, close)  # type: ignore[arg-type]
                    )
    return sorted(made, key=lambda one: (one.end, one.revision))


@st.composite
def chains(draw: st.DrawFn, latest_delay_ms: int = 90_000) -> list[ChainAnalytics]:
    """Chains of both products in the order of their receipt; delayed by up to ``latest_delay_ms``;
    some products and stretches without any."""
    made = []
    for product in PRODUCTS:
        for expiry in draw(st.sets(st.sampled_from((NEAR, NEXT, FAR, EXPIRED)))):
            stretch = draw(st.integers(0, MINUTES)), draw(st.integers(0, MINUTES))
            moments = st.integers(min(stretch) * MINUTE_MS, max(stretch) * MINUTE_MS)
            on_a_minute = st.integers(0, MINUTES).map(lambda minute: minute * MINUTE_MS)
            for at in draw(st.lists(moments | on_a_minute, max_size=12)):
                delay = draw(st.just(0) | st.integers(0, latest_delay_ms))
                mark = draw(st.integers(0, 3))
                made.append(chain(at, expiry, delay, mark, product=product))
    unique = {one.id: one for one in made}.values()
    return _as_sent(sorted(unique, key=lambda one: (one.ts_recv, one.id)))


def _as_sent(chains: Iterable[ChainAnalytics]) -> list[ChainAnalytics]:
    """With the known_at that analytics gives: the greatest receipt of the product so far."""
    known: dict[str, int] = {}
    sent = []
    for one in chains:
        known[one.product] = max(one.ts_recv, known.get(one.product, 0))
        sent.append(msgspec.structs.replace(one, known_at=known[one.product]))
    return sent


DAY_MS = 86_400_000


def on_day(record: Any, days: int) -> Any:
    """The record some days later."""
    names = ("start", "end", "known_at") if isinstance(record, Bar) else ()
    names = names or ("ts_event", "ts_recv", "known_at")
    moved = {name: getattr(record, name) + days * DAY_MS for name in names}
    return msgspec.structs.replace(record, **moved)
