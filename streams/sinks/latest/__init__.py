"""The sink of group ``latest``: the newest values, in Redis."""
