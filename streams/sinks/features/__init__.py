"""The sink of group ``features``: rows for machine learning, as Parquet files."""
