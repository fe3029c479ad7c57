"""The outcome as a picture: ticks a second of every contestant, on a logarithmic scale, as SVG."""

from __future__ import annotations

import math
from statistics import median
from xml.sax.saxutils import escape

from tests.bench.peers.contest import PEERS
from tests.bench.peers.throughput import BARE, OURS, Rates

TITLES = {OURS: "optionstream", BARE: "bare loop"}
COLOURS = {OURS: "#0b6e4f", BARE: "#8d99ae"}
_OTHER = "#c9ada7"
_LEFT, _WIDTH, _RIGHT = 230, 450, 120
_ROW, _BAR, _TOP = 26, 18, 60
_LEAST = 1_000.0


def svg(rates: Rates, machine: str) -> str:
    """A bar for each contestant of each packing, the fastest first."""
    rows = _rows("frames of 1,000 ticks", rates.frames) + _rows("one tick a record", rates.single)
    most = 10 ** math.ceil(math.log10(max(rate for _, _, rate in rows)))
    height = _TOP + _ROW * len(rows) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + _RIGHT}"'
        f' height="{height}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="12" y="22" font-size="15">Ticks a second, 1-minute bars '
        "(optionstream: all intervals, every check)</text>",
        f'<text x="12" y="40" fill="#555">{escape(machine)}; logarithmic scale</text>',
        *_grid(most, height),
    ]
    for at, (name, label, rate) in enumerate(rows):
        parts += _bar(_TOP + _ROW * at, name, label, rate, _x(rate, most))
    return "\n".join([*parts, "</svg>", ""])


def _rows(packing: str, rates: dict[str, list[float]]) -> list[tuple[str, str, float]]:
    """(contestant, label, median rate)"""
    medians = {name: median(found) for name, found in rates.items()}
    fastest = sorted(medians, key=lambda name: -medians[name])
    return [(name, _label(name, packing), medians[name]) for name in fastest]


def _label(name: str, packing: str) -> str:
    """Peers read one-tick records only, and so need no packing."""
    return f"{TITLES[name]}, {packing}" if name in TITLES else PEERS[name].title


def _x(rate: float, most: float) -> float:
    """Length of the bar of ``rate``, in pixels."""
    share = math.log(max(rate, _LEAST) / _LEAST) / math.log(most / _LEAST)
    return share * _WIDTH


def _grid(most: float, height: int) -> list[str]:
    lines = []
    for power in range(round(math.log10(_LEAST)), round(math.log10(most)) + 1):
        x = _LEFT + _x(10.0**power, most)
        lines.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{height - 24}" stroke="#ddd"/>'
        )
        lines.append(
            f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle" fill="#555">'
            f"{10**power:,}</text>"
        )
    return lines


def _bar(y: int, name: str, label: str, rate: float, length: float) -> list[str]:
    middle = y + _BAR - 5
    return [
        f'<text x="{_LEFT - 8}" y="{middle}" text-anchor="end">{escape(label)}</text>',
        f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR}"'
        f' fill="{COLOURS.get(name, _OTHER)}"/>',
        f'<text x="{_LEFT + length + 6:.1f}" y="{middle}">{rate:,.0f}</text>',
    ]
