"""Version strings whose order as text is the order of what they version."""

from __future__ import annotations

from optionstream.schemas.derived import Bar

_SEQ_SHIFT = 1 << 63
_SEQ_TOP = (1 << 64) - 1


def tick_version(ts_ms: int, seq: int) -> str:
    """Event time, then order number; numbers beyond 64 bits count as the nearest that fits."""
    return f"{ts_ms:016d}:{min(max(seq + _SEQ_SHIFT, 0), _SEQ_TOP):020d}"


def bar_version(bar: Bar) -> str:
    """The newest started window, then its newest revision."""
    return f"{bar.start:016d}:{bar.version:020d}"
