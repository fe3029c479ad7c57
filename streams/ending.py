"""How a worker ends that must not go on."""

from __future__ import annotations

import logging
import os
from typing import Final, NoReturn

logger = logging.getLogger(__name__)

EXIT_RESTART: Final = 70
"""Exit code of a process that must not go on; the supervisor starts it anew."""


def end_process(why: str) -> NoReturn:
    """End at once, without any clean-up that could write or hang: the supervisor starts a
    successor."""
    logger.critical("ending this process: %s", why)
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(EXIT_RESTART)
