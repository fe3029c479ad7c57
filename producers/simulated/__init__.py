"""A seeded simulated market: the same bytes for the same seed. See docs/feeds.md."""

from optionstream.producers.simulated.config import SimulationConfig
from optionstream.producers.simulated.market import SimulatedMarket

__all__ = ["SimulatedMarket", "SimulationConfig"]
