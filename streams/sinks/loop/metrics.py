"""Metrics of every sink."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("optionstream_sink_records", "Records read", ["group", "topic"])
ROWS = Counter("optionstream_sink_rows", "Rows written", ["group", "kind"])
NOOPS = Counter(
    "optionstream_sink_noops", "Rows that changed nothing: repeated or older", ["group", "kind"]
)
SKIPPED = Counter(
    "optionstream_sink_skipped",
    "Records or ticks not taken, by reason",
    ["group", "topic", "reason"],
)
RETRIES = Counter("optionstream_sink_retries", "Flushes that a server refused", ["group"])
RESTARTS = Counter(
    "optionstream_sink_restarts", "Reads begun again from the stored positions", ["group"]
)
FLUSH_SECONDS = Histogram(
    "optionstream_sink_flush_seconds",
    "Time of a successful flush",
    ["group"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
LAG = Gauge("optionstream_sink_lag", "Records not yet flushed", ["group", "topic", "partition"])
