"""What proves rather than checks, in parts of at most half an hour: ``make soak``."""
