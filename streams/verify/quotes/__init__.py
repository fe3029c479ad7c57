"""Option quotes, assembled as a batch."""
