"""The sink of group ``history``: ticks, bars, chains and surfaces, in MongoDB."""
