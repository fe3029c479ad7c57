"""The volatility surface of a product: what its option chains say of volatility by strike and time
to expiry (docs/figures/volatility-surface.md)."""

from __future__ import annotations

from msgspec import Struct

from optionstream.schemas.derived import IvMode


class Smile(Struct, frozen=True):
    """The implied volatilities of one expiry, of the legs that are out of the money.

    ``snapshot_id`` and ``ts_event`` (UTC epoch ms) are those of the chain it is of, ``years`` the
    time to expiry in years of 365 days, ``forward`` rupees. ``strikes`` rise; parallel to them
    stand ``log_moneyness``, ln(strike / forward), and ``iv``, decimals. ``atm_iv`` is the
    volatility at the forward, ``risk_reversal_25`` that of the call of delta 0.25 less that of the
    put of delta -0.25, ``butterfly_25`` their mean less ``atm_iv``. One that is None stands in
    ``null_reasons`` with the reason.
    """

    expiry: str
    snapshot_id: str
    ts_event: int
    years: float
    forward: float
    atm_iv: float | None
    risk_reversal_25: float | None
    butterfly_25: float | None
    strikes: list[float]
    log_moneyness: list[float]
    iv: list[float]
    null_reasons: dict[str, str]


class VolatilitySurface(Struct, frozen=True):
    """The newest smile of every expiry of a product on one day, and volatilities between them.

    ``expiry`` and ``snapshot_id`` name the chain that was the last to join. ``number`` counts the
    surfaces of the day from 1; ``ts_event`` and ``ts_recv`` are the greatest of its chains, UTC
    epoch ms. Of the ``expiries_in_capture`` chains that came in one body, ``expiries_captured`` are
    in it. ``smiles`` come in the order of expiry; ``left_out`` has the reason for each expiry that
    has none. ``iv`` has a row for each of ``tenors_days`` and a column for each of
    ``log_moneyness``, decimals; None where ``reason`` says why.
    """

    product: str
    expiry: str
    snapshot_id: str
    number: int
    ts_event: int
    ts_recv: int
    iv_mode: IvMode
    capture_id: str
    expiries_in_capture: int
    expiries_captured: int
    smiles: list[Smile]
    left_out: dict[str, str]
    tenors_days: list[int]
    log_moneyness: list[float]
    iv: list[list[float | None]]
    reason: list[list[str | None]]
    flags: list[str]
    known_at: int

    @property
    def id(self) -> str:
        return f"{self.product}|{self.expiry}|{self.snapshot_id}|{self.number}"

    @property
    def version(self) -> str:
        """Orders the surfaces of a product."""
        return f"{self.ts_event:016d}:{self.number:08d}"
