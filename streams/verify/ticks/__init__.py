"""Ticks and candles: their fates, their bars, and what is stored of them."""
