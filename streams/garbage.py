"""How often a worker looks for garbage that only a search finds: cycles of objects."""

from __future__ import annotations

import gc
from typing import Final

_YOUNG: Final = 10_000
"""Objects made since the last search before there is another; a chain makes hundreds, and none of
them is in a cycle."""


def spare_the_collector() -> None:
    """Call once a worker is built: what it imported lives as long as it, and is searched no more.
    A search of all of it stops the event loop for tens of milliseconds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
