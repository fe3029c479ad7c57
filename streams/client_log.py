"""Where librdkafka's clients log: into Python's logging, warnings and worse."""

from __future__ import annotations

import logging
from typing import Any, Final

CLIENT_LOG: Final[dict[str, Any]] = {"log_level": 4, "logger": logging.getLogger("librdkafka")}
"""Settings for every client of a worker."""
