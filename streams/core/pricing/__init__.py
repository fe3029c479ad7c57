"""Prices, implied volatility and Greeks of index options, as pure functions of arrays.

``chain`` is the one call for a chain, ``modes`` says which price, time and rate each mode takes,
``parity`` finds the forward; ``implied``, ``greeks`` and ``black`` are the mathematics beneath.
Formulas, units and sources: docs/pricing.md.
"""
