"""Sinks: Kafka consumer groups that write views. ``latest`` → Redis, ``history`` → MongoDB.

``worker`` is the loop both share; a sink only says how records become rows and how rows are
written (``contract.Sink``). Rules: docs/stores.md.
"""
