"""Refused records: reading them, and sending them again, each once."""
