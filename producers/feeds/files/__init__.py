"""Bytes, tables and archives, whatever market data is in them."""
