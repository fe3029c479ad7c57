"""Real sessions at every speed: ``python -m tests.sessions``.

The same input goes through the workers fast and paced, in small records and in large ones, by one
analytics worker and by several, undisturbed and under ``kill -9``. What comes of it has to be
the same.
"""
