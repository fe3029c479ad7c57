"""Volatility surfaces: put together again from the chains that went out, and compared."""
