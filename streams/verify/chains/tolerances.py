"""How close figures of a chain must be; `schemas.figures` names the figures."""

from __future__ import annotations

from typing import Final

EPSILON: Final = 2.0**-52

ROUNDING: Final = 1e-12
"""Relative difference that the order of a float sum may make: totals, ratios, forward, years,
straddle, mean volatility. Where terms of both signs cancel, relative to the sum of their sizes."""

CLOSE: Final = 1e-9
"""Relative difference of the time value that a volatility gives, and of Greeks at a volatility."""

ROUNDED: Final = 4 * EPSILON
"""Part of strike or forward that rounding may have put into their difference, on top of `CLOSE`;
within it of a limit, either reason for no volatility is right."""

RESOLUTION: Final = 8 * EPSILON
"""docs/pricing.md: part of a premium below which time value may be rounding alone."""

LEAST: Final = 1e-290
"""docs/pricing.md: part of strike or forward below which a time value counts as none."""

NEARLY_WHOLE: Final = 0.001
"""docs/semantics.md: shares this near to a whole number are that number."""
