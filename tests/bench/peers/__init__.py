"""The stream processors that the throughput targets name, each on the same records.

``quix_windows``, ``bytewax_windows`` and ``faust_windows`` are the contestants: one short program
each, as the peer's own documentation recommends. They run in an environment of their own
(``environment``), so they and ``order`` import nothing of the project. ``contest`` starts them,
``bars`` reads what they wrote, ``throughput`` lets all take turns, ``plot`` draws the outcome.
"""
