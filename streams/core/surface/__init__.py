"""The volatility surface: smiles of the expiries, put together and interpolated."""
