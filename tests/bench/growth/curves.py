"""The curves of cost a tick as a picture: one panel each, from zero, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from tests.bench.growth.scaling import FLAT, Curve, Point
from tests.bench.peers.plot import COLOURS
from tests.bench.peers.throughput import BARE, OURS

_WIDTH, _HEIGHT = 380, 220
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 46, 20, 34
_COLUMNS = 2


def svg(curves: Sequence[Curve], machine: str) -> str:
    """A panel for each curve; the dashed line is the target, of the curve's first point."""
    rows = -(-len(curves) // _COLUMNS)
    width, height = _COLUMNS * _WIDTH, rows * _HEIGHT + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        ' font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="12" y="22" font-size="15">Processor time of the analytics workers a tick, '
        "nanoseconds</text>",
        f'<text x="12" y="40" fill="#555">{escape(machine)}; dashed: '
        f"{FLAT:g} times the first point</text>",
    ]
    for at, curve in enumerate(curves):
        x, y = at % _COLUMNS * _WIDTH, 50 + at // _COLUMNS * _HEIGHT
        parts += [f'<g transform="translate({x},{y})">', *_panel(curve), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _panel(curve: Curve) -> list[str]:
    limit = FLAT * curve.points[0].ns
    top = 1.15 * max(limit, *(point.ns for point in curve.points))
    places = [(_x(at, len(curve.points)), _y(one.ns, top)) for at, one in enumerate(curve.points)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return [
        f'<text x="{_LEFT}" y="{_TOP - 14}" font-size="12">{escape(curve.title)}</text>',
        _rule(0.0, top, "#555", ""),
        _rule(limit, top, COLOURS[BARE], ' stroke-dasharray="5 4"'),
        f'<polyline points="{line}" fill="none" stroke="{COLOURS[OURS]}" stroke-width="2"/>',
        *(text for x_y, one in zip(places, curve.points, strict=True) for text in _dot(*x_y, one)),
    ]


def _dot(x: float, y: float, point: Point) -> list[str]:
    return [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{COLOURS[OURS]}"/>',
        f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{point.ns:,.0f}</text>',
        f'<text x="{x:.1f}" y="{_HEIGHT - 14}" text-anchor="middle" fill="#555">'
        f"{escape(point.label)}</text>",
    ]


def _rule(ns: float, top: float, colour: str, dashes: str) -> str:
    y = _y(ns, top)
    return (
        f'<line x1="{_LEFT - 16}" x2="{_WIDTH - _RIGHT + 8}" y1="{y:.1f}" y2="{y:.1f}"'
        f' stroke="{colour}"{dashes}/>'
    )


def _x(at: int, points: int) -> float:
    return _LEFT + at * (_WIDTH - _LEFT - _RIGHT) / max(1, points - 1)


def _y(ns: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - ns / top * (_HEIGHT - _TOP - _BOTTOM)
