"""From the ticks and candles of one product to bars and gaps."""
