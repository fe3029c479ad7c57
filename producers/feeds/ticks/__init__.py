"""Ticks and candles as files and captures."""
