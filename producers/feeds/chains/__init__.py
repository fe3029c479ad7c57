"""Option chains in every form they come in."""
