"""Examples for OpenAPI, from real sessions: the NIFTY chain of 2025-11-17 13:27:22 IST (three of
its 89 strikes), and a bar in the same hour's shape."""

from __future__ import annotations

from typing import Any

from optionstream.schemas import figures

_AT = "2025-11-17T13:27:22+05:30"
_RECEIVED = "2025-11-17T13:29:19+05:30"


def _leg(figures: tuple[float, ...], greeks: tuple[float, ...]) -> dict[str, Any]:
    names = ("strike", "oi", "oi_change", "volume", "source_iv", "last", "bid", "ask", "gex")
    greek_names = ("iv", "delta", "gamma", "theta", "vega", "rho")
    return {
        **dict(zip(names, figures, strict=True)),
        "oi_intraday": None,
        "greeks": dict(zip(greek_names, greeks, strict=True)),
        "iv_reason": None,
    }


UNDERLYING: dict[str, Any] = {
    "product": "NIFTY",
    "timestamp": _AT,
    "price": 25974.35,
    "volume": None,
    "seq": 15142,
    "source": "nse",
    "session": "2025-11-17",
}

CHAIN: dict[str, Any] = {
    "product": "NIFTY",
    "expiry": "2025-11-18",
    "timestamp": _AT,
    "received": _RECEIVED,
    "source": "nse",
    "snapshot_id": "1763366242000-fc3d4debbf16a958",
    "underlying_price": 25974.35,
    "oi_unit": "shares",
    "lot_size": 75,
    "strikes": [25950.0, 26000.0],
    "calls": [
        _leg(
            (25950.0, 11299275.0, 6311625.0, 4474117.0, 15.02, 99.1, 98.7, 98.85, 165349506405.93),
            (0.1245686, 0.6149251, 0.0021646, -31.1061718, 5.4195422, -0.0029366),
        ),
        _leg(
            (
                26000.0,
                28885275.0,
                15274725.0,
                6977853.0,
                14.43,
                70.15,
                70.15,
                70.3,
                445565665495.93,
            ),
            (0.1233237, 0.503509, 0.0022817, -32.1369876, 5.6556607, -0.0020878),
        ),
    ],
    "puts": [
        _leg(
            (25950.0, 18708300.0, 16433625.0, 4814786.0, 11.9, 48.1, 48.1, 48.2, -272567710343.26),
            (0.1251682, -0.3855975, 0.0021551, -31.2683457, 5.4217021, -0.0014315),
        ),
        _leg(
            (
                26000.0,
                17816100.0,
                14116950.0,
                4455730.0,
                11.33,
                68.95,
                68.8,
                68.95,
                -276404835591.49,
            ),
            (0.1226164, -0.4964862, 0.0022949, -31.9526799, 5.6556601, -0.0020477),
        ),
    ],
    "metadata": {row.document_name: row.example for row in figures.METADATA},
    "known_at": _RECEIVED,
}

PCR: dict[str, Any] = {
    "product": "NIFTY",
    "expiry": "2025-11-18",
    "timestamp": _AT,
    **{row.name: row.example for row in figures.PCR},
    "oi_unit": "shares",
    "null_reasons": {},
    "snapshot_id": CHAIN["snapshot_id"],
    "known_at": _RECEIVED,
}

SURFACE: dict[str, Any] = {
    "product": "NIFTY",
    "timestamp": _AT,
    "received": _RECEIVED,
    "number": 87,
    "expiry": "2025-11-25",
    "snapshot_id": "1763366242000-7ccfd559eb1aa9d0",
    "iv_mode": "black76",
    "capture_id": "de1b90b200750d2d",
    "expiries_in_capture": 18,
    "expiries_captured": 18,
    "smiles": [
        {
            "expiry": "2025-11-18",
            "timestamp": _AT,
            "snapshot_id": CHAIN["snapshot_id"],
            "years": 0.002973,
            "forward": 26000.95,
            "atm_iv": 0.1233095,
            "risk_reversal_25": -0.0110213,
            "butterfly_25": 0.0051742,
            "null_reasons": {},
            "points": [
                {"strike": 25950.0, "log_moneyness": -0.0019614, "iv": 0.1251682},
                {"strike": 26050.0, "log_moneyness": 0.0018847, "iv": 0.1215187},
            ],
        }
    ],
    "left_out": {"2025-12-16": "no_parity_pair"},
    "grid": {
        "tenors_days": [7, 14],
        "log_moneyness": [-0.01, 0.0, 0.01],
        "iv": [[0.1254011, 0.1184127, 0.1130442], [None, 0.1170325, 0.1139024]],
        "reason": [[None, None, None], ["outside_strikes", None, None]],
    },
    "flags": [],
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

GAPS: dict[str, Any] = {
    "product": "NIFTY",
    "gaps": [
        {
            "product": "NIFTY",
            "kind": "silence",
            "session": "2025-11-17",
            "source": "",
            "label": "",
            "first": None,
            "last": None,
            "missing": [],
            "start": "2025-11-17T13:20:12+05:30",
            "end": "2025-11-17T13:22:55+05:30",
            "revision": 1,
            "filled": False,
            "known_at": "2025-11-17T13:23:02+05:30",
        }
    ],
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

REPLAY: dict[str, Any] = {
    "id": "october",
    "namespace": "october",
    "state": "running",
    "clock": "2025-10-27T10:15:03+05:30",
    "speed": 60.0,
    "records": 2841,
    "events": 7317,
    "rate": 212.4,
    "lag": {"analytics": 4, "latest": 2, "history": 31},
    "settled": False,
    "time_left_s": 315.0,
    "time_left_reason": None,
    "host": "desk-4",
    "pid": 41200,
    "error": None,
    "manifest": {
        "id": "october",
        "source": {"kind": "files", "paths": ["captures/2025-10-27.jsonl.zst"]},
        "speed": 60.0,
        "began": "2026-01-07T18:02:11.402+05:30",
        "ended": None,
        "range": None,
        "schemas": [],
        "counts": {},
        "code": "0.1.0+431ecdd",
        "settings": {"allowed_lateness_ms": 2000, "iv_mode": "black76"},
    },
}

REPLAYS: dict[str, Any] = {"replays": [REPLAY]}

REPLAY_ANSWER: dict[str, Any] = {
    "id": "october",
    "command": "seek",
    "answer": "seeking 2025-10-27T14:00:00+05:30 at full speed, then running",
}
