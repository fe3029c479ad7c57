"""Playing events at a pace that can be changed while they play. See docs/replay.md.

``Controller`` decides (pure: time comes in as an argument), ``Player`` does it.
"""

from optionstream.producers.playback.controller import Controller, OpenMs
from optionstream.producers.playback.lanes import by_time, side_by_side
from optionstream.producers.playback.pieces import EventPiece, Piece, framed, sliced
from optionstream.producers.playback.player import Inbox, Player

__all__ = [
    "Controller",
    "EventPiece",
    "Inbox",
    "OpenMs",
    "Piece",
    "Player",
    "by_time",
    "framed",
    "side_by_side",
    "sliced",
]
