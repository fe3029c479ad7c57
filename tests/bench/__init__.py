"""Ratios against bare clients, side by side in one run: ``make bench``.

Absolute figures move with the machine; each target is a ratio of medians, the contestants taking
turns on the same broker and the same records.
"""
