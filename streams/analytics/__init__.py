"""The stateful worker: bars and chain analytics, as a Faust agent on streams.engine."""
