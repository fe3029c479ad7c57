"""Option chains: history, figures, pricing, and the comparison."""
