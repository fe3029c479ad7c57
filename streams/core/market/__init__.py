"""Facts of the market: sessions, contracts, expiries. The tables are in ``data``."""
