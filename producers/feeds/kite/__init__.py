"""Kite's packets, quotes and list of instruments."""
