"""Replays: where their records come from, the run itself, how it is steered and told."""
