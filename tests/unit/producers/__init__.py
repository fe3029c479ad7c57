"""Feeds, the simulated market, pacing and publishing."""
