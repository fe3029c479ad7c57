"""The sink of group ``audit``: every record, as Parquet files that can be checked."""
