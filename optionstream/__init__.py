"""optionstream: an event-sourced market-data pipeline for Indian index options.

The sub-packages are links to the folders at the top of the repository (docs/adr/0001):
``schemas`` (the nouns), ``streams`` (the verbs), ``producers``, ``api`` and ``deploy``.
"""

__version__ = "0.1.0"
