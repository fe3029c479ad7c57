"""Generated inputs of the producers: nothing here comes from a real file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from optionstream.producers.feeds.session_file import header_for, write_session
from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.schemas.events import ChainSnapshot, Legs
from optionstream.schemas.times import ist
from tests.bench.inputs import FIRST_DAY, PRODUCTS, SESSION_MS, records_of

PRODUCT = "NIFTY"
FRAME_TICKS = 1_000
_PART_ROWS = 1_000_000
_ROW_GROUP = 100_000


def session(path: Path, ticks: int) -> Path:
    """A session file of four products' frames."""
    write_session(path, header_for(PRODUCTS, {}), records_of(ticks, FRAME_TICKS))
    return path


def trades(path: Path, ticks: int) -> Path:
    """A Parquet table of trades within one session, in row groups; made a part at a time."""
    random, step = np.random.RandomState(7), SESSION_MS / ticks
    parts = []
    for start in range(0, ticks, _PART_ROWS):
        at = np.arange(start, min(ticks, start + _PART_ROWS))
        moves = random.choice((-0.05, 0.0, 0.05), len(at))
        parts.append(
            pl.DataFrame(
                {
                    "timestamp": pl.Series(FIRST_DAY.open_ms + (at * step).astype(np.int64)).cast(
                        pl.Datetime("ms")
                    ),
                    "trade_id": at + 1,
                    "price": np.round(20_000 + np.cumsum(moves), 2),
                    "quantity": random.rand(len(at)),
                }
            )
        )
    pl.concat(parts).write_parquet(path, row_group_size=_ROW_GROUP)
    return path


def chain_bodies(folder: Path, count: int) -> list[Path]:
    """The exchange's JSON, a body a file, each with every expiry of one moment."""
    folder.mkdir(exist_ok=True)
    config = SimulationConfig(seed=7, date="2026-01-06", products=(PRODUCT,))
    captures: dict[int, list[ChainSnapshot]] = defaultdict(list)
    for event in SimulatedMarket(config).events():
        if isinstance(event, ChainSnapshot):
            captures[event.ts_event].append(event)
    paths = []
    for number, chains in enumerate(list(captures.values())[:count]):
        path = folder / f"{number:05d}.json"
        path.write_bytes(msgspec.json.encode({"records": _records(chains)}))
        paths.append(path)
    return paths


def _records(chains: list[ChainSnapshot]) -> dict[str, Any]:
    return {
        "timestamp": f"{ist(chains[0].ts_event):%d-%b-%Y %H:%M:%S}",
        "underlyingValue": chains[0].underlying_price,
        "data": [row for chain in chains for row in _rows(chain)],
    }


def _rows(chain: ChainSnapshot) -> Iterator[dict[str, Any]]:
    expiry = f"{date.fromisoformat(chain.expiry):%d-%b-%Y}"
    sides = {"CE": list(_legs(chain.calls)), "PE": list(_legs(chain.puts))}
    for at, strike in enumerate(chain.strikes):
        both: dict[str, Any] = {
            kind: {
                "strikePrice": strike,
                "expiryDate": expiry,
                "underlying": chain.product,
                "underlyingValue": chain.underlying_price,
                **legs[at],
            }
            for kind, legs in sides.items()
        }
        yield {"strikePrice": strike, "expiryDate": expiry, **both}


def _legs(legs: Legs) -> Iterable[dict[str, float | None]]:
    names = {
        "oi": "openInterest",
        "oi_change": "changeinOpenInterest",
        "volume": "totalTradedVolume",
        "iv": "impliedVolatility",
        "last": "lastPrice",
        "bid": "bidprice",
        "ask": "askPrice",
    }
    columns = [getattr(legs, name) for name in names]
    for values in zip(*columns, strict=True):
        yield dict(zip(names.values(), values, strict=True))
