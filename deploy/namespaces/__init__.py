"""Namespaces: the catalogue of those there are, their topics, and the registry of replays."""
