"""Sinks: Kafka consumer groups that write views. ``latest`` → Redis, ``history`` → MongoDB,
``audit`` → Parquet files.

``worker`` is the loop all share; a sink only says how records become rows and how rows are
written (``contract.Sink``). Rules: docs/stores.md.
"""
