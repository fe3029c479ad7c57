"""What an option chain says: totals, levels, implied volatility, Greeks, quality flags."""
