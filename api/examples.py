"""Examples for OpenAPI, from real sessions: the NIFTY chain of 2025-11-17 13:27:22 IST (three of
its 89 strikes), and a bar in the same hour's shape."""

from __future__ import annotations

from typing import Any

_AT = "2025-11-17T13:27:22+05:30"
_RECEIVED = "2025-11-17T13:29:19+05:30"
_NULL_REASONS: dict[str, str] = {}


def _leg(*values: float) -> dict[str, float]:
    names = ("strike", "oi", "oi_change", "volume", "iv", "last", "bid", "ask")
    return dict(zip(names, values, strict=True))


UNDERLYING: dict[str, Any] = {
    "product": "NIFTY",
    "timestamp": _AT,
    "price": 25974.35,
    "volume": None,
    "seq": 15142,
    "source": "nse",
    "session": "2025-11-17",
}

_TOTALS: dict[str, Any] = {
    "call_oi": 3170084.0,
    "put_oi": 3211394.0,
    "call_volume": 37355391.0,
    "put_volume": 36005736.0,
}

CHAIN: dict[str, Any] = {
    "product": "NIFTY",
    "expiry": "2025-11-18",
    "timestamp": _AT,
    "received": _RECEIVED,
    "source": "nse",
    "snapshot_id": "1763366242000-5b1d0c6ff2a94e37",
    "underlying_price": 25974.35,
    "oi_unit": "lots",
    "strikes": [25950.0, 26000.0],
    "calls": [
        _leg(25950.0, 150657.0, 84155.0, 4474117.0, 15.02, 99.1, 98.7, 98.85),
        _leg(26000.0, 385137.0, 203663.0, 6977853.0, 14.43, 70.15, 70.15, 70.3),
    ],
    "puts": [
        _leg(25950.0, 249444.0, 219115.0, 4814786.0, 11.9, 48.1, 48.1, 48.2),
        _leg(26000.0, 237548.0, 188226.0, 4455730.0, 11.33, 68.95, 68.8, 68.95),
    ],
    "metadata": {
        "pcr": 1.0130312,
        "pcr_volume": 0.9638699,
        "max_pain": 25950.0,
        **_TOTALS,
        "missing_legs": 0,
        "null_reasons": _NULL_REASONS,
        "flags": [],
        "capture_id": "303_nse20251117T132722",
        "expiries_in_capture": 18,
        "custom_indicators": {},
    },
    "known_at": _RECEIVED,
}

PCR: dict[str, Any] = {
    "product": "NIFTY",
    "expiry": "2025-11-18",
    "timestamp": _AT,
    "pcr_oi": 1.0130312,
    "pcr_volume": 0.9638699,
    **_TOTALS,
    "oi_unit": "lots",
    "null_reasons": _NULL_REASONS,
    "snapshot_id": CHAIN["snapshot_id"],
    "known_at": _RECEIVED,
}

EXPIRIES: dict[str, Any] = {
    "product": "NIFTY",
    "nearest": "2025-11-18",
    "expiries": [
        {"expiry": "2025-11-18", "timestamp": _AT},
        {"expiry": "2025-11-25", "timestamp": _AT},
    ],
}

PRODUCTS: dict[str, Any] = {
    "namespace": "live",
    "products": [{"product": "NIFTY", "timestamp": _AT}],
}

BARS: dict[str, Any] = {
    "product": "NIFTY",
    "interval": "1m",
    "bars": [
        {
            "product": "NIFTY",
            "interval": "1m",
            "session": "2025-11-17",
            "start": "2025-11-17T13:26:00+05:30",
            "end": "2025-11-17T13:27:00+05:30",
            "open": 25971.2,
            "high": 25976.9,
            "low": 25970.05,
            "close": 25974.1,
            "volume": None,
            "volume_reason": "no_volume",
            "ticks": 60,
            "revision": 1,
            "final": True,
            "known_at": "2025-11-17T13:27:02+05:30",
        }
    ],
    "next_cursor": None,
}
