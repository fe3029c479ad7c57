"""The one loop all sinks share: read, add, flush, commit; where to start, and patience."""
