"""Replays: their sources, the run itself, its remote control and its reports."""
