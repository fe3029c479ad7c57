"""Faults by a seeded schedule, and the results compared with a batch computation.

``make soak PART=chaos`` (``python -m tests.chaos``); a short form runs in tests/server.
"""
