"""Publish market events to Kafka, to partitions whose leaders are known."""
