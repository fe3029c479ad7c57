"""Random numbers that stay the same: across processes, machines and releases of numpy.

numpy promises unchanging streams for RandomState and for its bit generators, not for the newer
Generator; hence RandomState here. Each purpose has a stream of its own, so that one more product
or one more draw in one place changes nothing elsewhere.
"""

from __future__ import annotations

import numpy as np


def stream(seed: int, *purpose: str) -> np.random.RandomState:
    """The random stream of one purpose, e.g. ``stream(7, "2025-11-12", "NIFTY", "ticks")``."""
    words = [int.from_bytes(word.encode(), "big") for word in purpose]
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence([seed, *words])))
