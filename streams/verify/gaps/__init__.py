"""What ticks lack, as a batch."""
