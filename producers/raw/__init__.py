"""Raw first: what a feed received, byte for byte, to Kafka and back."""
