"""The figures of an option chain, in one table: what each is, its unit, why it may be null.

From this table follow the documents (``documents``), the API's descriptions (``api.models``,
``api.examples``), the columns of the feature files (``files.feature_rows``), how close verify
wants a figure, and the table in docs/figures/README.md. Types are those of ``ChainAnalytics``,
which declares the figures; docs/semantics.md has the rules in full.

To add a figure: declare it in ``ChainAnalytics``, compute it in ``streams.core.chains`` and in
``streams.verify.chains``, and add its row here.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, get_type_hints

from optionstream.schemas.derived import ChainAnalytics

Tolerance = Literal["equal", "rounding", "ties"]
"""How close a figure must be to one computed another way: equal; equal but for the rounding of a
float sum (``streams.verify.chains.tolerances``); or a strike that rounding makes as good."""


class FigureRow(NamedTuple):
    """One figure of a chain.

    ``name`` is the field of ``ChainAnalytics``. ``meaning`` starts with a capital and has no full
    stop. ``unit`` is empty for counts and names. ``reasons`` are those for which it may be null;
    empty for a figure that never is, or whose null needs none. ``example`` is the value in OpenAPI,
    from the chain of ``api.examples``.
    """

    name: str
    meaning: str
    unit: str
    example: Any
    reasons: tuple[str, ...] = ()
    tolerance: Tolerance = "equal"

    @property
    def description(self) -> str:
        """The meaning and the unit, in one line for OpenAPI."""
        return f"{self.meaning} ({self.unit})" if self.unit else self.meaning

    @property
    def document_name(self) -> str:
        """The name in a chain document and in the API."""
        return _DOCUMENT_NAMES.get(self.name, self.name)

    @property
    def annotation(self) -> Any:
        """The type of the field in ``ChainAnalytics``."""
        return _TYPES[self.name]


_DOCUMENT_NAMES: Final = {"pcr_oi": "pcr"}
_TYPES: Final = get_type_hints(ChainAnalytics)

_NO_SIDE: Final = ("no_calls", "no_puts")
_OI_RATIO: Final = (*_NO_SIDE, "no_oi", "zero_call_oi")
_VOLUME_RATIO: Final = (*_NO_SIDE, "no_volume", "zero_call_volume")
_NEAR: Final = ("no_atm",)
_NO_CHANGE: Final = ("no_oi_change",)
_INTRADAY: Final = ("no_baseline", "earlier_day")
_OI: Final = "`oi_unit`"
_TRADED: Final = "as the source counts"
_YEARS: Final = "years of 365 days"
_GEX: Final = "rupees of delta per 1 %"


def _rounded(
    name: str, meaning: str, unit: str, example: float | None, reasons: tuple[str, ...] = ()
) -> FigureRow:
    """Return the row of a figure that is summed up or divided, so that rounding may differ."""
    return FigureRow(name, meaning, unit, example, reasons, "rounding")


SNAPSHOT: Final = (
    FigureRow("oi_unit", "Unit of open interest: `shares` or `lots`", "", "shares"),
    FigureRow("lot_size", "Shares of one lot", "shares", 75, ("lot_size_unknown",)),
    FigureRow("underlying_price", "Spot price as the source had it", "rupees", 25974.35),
)
"""What the figures are measured by; at the top of a chain document."""

RATIOS: Final = (
    _rounded("pcr_oi", "Put over call open interest", "ratio", 1.0130312, _OI_RATIO),
    _rounded("pcr_volume", "Put over call volume", "ratio", 0.9638699, _VOLUME_RATIO),
    FigureRow("near_strikes", "Strikes on each side that count as near the money", "", 10),
    _rounded("pcr_oi_near", "`pcr_oi` near the money", "ratio", 0.9012738, _OI_RATIO + _NEAR),
    _rounded(
        "pcr_volume_near",
        "`pcr_volume` near the money",
        "ratio",
        0.860546,
        _VOLUME_RATIO + _NEAR,
    ),
)

LEVELS: Final = (
    FigureRow(
        "max_pain",
        "Strike at which options pay their holders least",
        "rupees",
        25950.0,
        (*_NO_SIDE, "no_oi"),
        "ties",
    ),
    FigureRow(
        "resistance",
        "Strikes of most call open interest, the greatest first",
        "rupees",
        [26000.0, 26100.0, 27000.0, 26200.0],
    ),
    FigureRow(
        "support",
        "Strikes of most put open interest, the greatest first",
        "rupees",
        [25900.0, 25950.0, 26000.0, 25800.0],
    ),
)

TOTALS: Final = (
    _rounded("call_oi", "Open interest of all calls", _OI, 237756300.0, ("no_oi",)),
    _rounded("put_oi", "Open interest of all puts", _OI, 240854550.0, ("no_oi",)),
    _rounded("call_oi_change", "`call_oi` against the day before", _OI, 49984950.0, _NO_CHANGE),
    _rounded("put_oi_change", "`put_oi` against the day before", _OI, 88755900.0, _NO_CHANGE),
    _rounded("call_oi_intraday", "`call_oi` since the day's first snapshot", _OI, None, _INTRADAY),
    _rounded("put_oi_intraday", "`put_oi` since the day's first snapshot", _OI, None, _INTRADAY),
    _rounded("call_volume", "Calls traded so far in the day", _TRADED, 37355391.0, ("no_volume",)),
    _rounded("put_volume", "Puts traded so far in the day", _TRADED, 36005736.0, ("no_volume",)),
)

PRICING: Final = (
    FigureRow("iv_mode", "Method of volatilities: `black76` by the forward, `nse`", "", "black76"),
    FigureRow("rate", "Interest rate that the Greeks are computed with", "decimal", 0.0),
    _rounded("years", "Time to expiry", _YEARS, 0.002973, ("no_expiry", "expired")),
    _rounded(
        "forward",
        "Forward price by put-call parity near the money",
        "rupees",
        26000.95,
        ("no_parity_pair", "forward_not_positive"),
    ),
    FigureRow("atm_strike", "Strike nearest to the forward", "rupees", 26000.0, ("no_forward",)),
    _rounded(
        "atm_iv", "Mean implied volatility at `atm_strike`", "decimal", 0.12297, ("no_atm", "no_iv")
    ),
    _rounded(
        "straddle",
        "Call plus put premium at `atm_strike`",
        "rupees",
        139.1,
        ("no_atm", "no_price"),
    ),
    _rounded(
        "gex_total",
        "Gamma exposure, puts negative",
        _GEX,
        169756905098.45,
        ("oi_in_lots", "no_iv", "no_oi"),
    ),
)

QUALITY: Final = (
    FigureRow("legs_with_iv", "Legs with an implied volatility", "", 160),
    FigureRow("iv_null_reasons", "Reason → legs without a volatility", "", {"below_intrinsic": 18}),
    FigureRow("missing_legs", "Strikes without a call plus strikes without a put", "", 0),
    _rounded("completeness", "Legs that are there, 0 to 1", "share", 1.0),
    FigureRow("oldest_leg_ms", "Age of the oldest quote, of a chain made of quotes", "ms", None),
    FigureRow(
        "null_reasons",
        "Figure → why it is null",
        "",
        {"call_oi_intraday": "no_baseline", "put_oi_intraday": "no_baseline"},
    ),
    FigureRow("flags", "Quality flags of the snapshot", "", ["below_intrinsic"]),
    FigureRow("capture_id", "Payload that several expiries came in", "", "de1b90b200750d2d"),
    FigureRow("expiries_in_capture", "Expiries that came in that payload", "", 18),
    FigureRow("custom_indicators", "Indicator → its named numbers", "", {}),
)

METADATA: Final = (*RATIOS, *LEVELS, *TOTALS, *PRICING, *QUALITY)
"""The figures under ``metadata`` of a chain document, in its order."""

FIGURES: Final = {row.name: row for row in (*SNAPSHOT, *METADATA)}
"""Every figure by its name."""

PCR: Final = tuple(
    FIGURES[name]
    for name in (
        *("pcr_oi", "pcr_volume", "pcr_oi_near", "pcr_volume_near", "near_strikes", "atm_strike"),
        *("call_oi", "put_oi", "call_volume", "put_volume"),
    )
)
"""The figures of a put-call ratio document, in its order."""

PCR_NAMES: Final = tuple(row.name for row in PCR)
ROUNDED: Final = frozenset(row.name for row in FIGURES.values() if row.tolerance == "rounding")
"""The names of figures that may differ by the rounding of a sum."""
TIED: Final = frozenset(row.name for row in FIGURES.values() if row.tolerance == "ties")
"""The names of figures that may be another strike of equal worth but for rounding."""
SUMMARY: Final = ("pcr_oi", "pcr_volume", "max_pain")
"""The figures by which short tables and reports show a chain."""
