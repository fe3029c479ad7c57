"""Consumer groups: how far they are, setting them back, noticing one that has stalled."""
