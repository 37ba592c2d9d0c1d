"""Draws curves as SVG, two panels in a row: x logarithmic, y from zero or logarithmic; legible on light and dark pages."""

import dataclasses
import math
import typing
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 520, 320, 62, 20, 58, 48
COLOURS = ("#0b6bcb", "#c4570a", "#2e7d32")
STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #333 } .title { font-size: 14px; font-weight: 600 }
.grid { stroke: #ddd } .frame { fill: #fff } polyline { fill: none; stroke-width: 2 }
</style>"""


@dataclasses.dataclass(frozen=True)
class Panel:
    title: str
    x_title: str
    y_title: str
    curves: typing.Dict[str, typing.List[typing.Tuple[float, float]]]
    logarithmic_y: bool = False


def short(number):
    """1048576 is 1M, 5000 is 5k."""
    for size, letter in ((1 << 20, "M"), (1 << 10, "K")):
        if number >= size and number % size == 0:
            return f"{number // size}{letter}"
    return f"{number / 1000:g}k" if number >= 1000 else f"{number:g}"


def round_step(top):
    """The least of 1, 2, 5, 10, ... that needs at most six lines."""
    power = 10 ** math.floor(math.log10(top / 6))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power * 6 >= top)


class Scales:
    """From values to the places of one panel."""

    def __init__(self, panel):
        xs = sorted({x for points in panel.curves.values() for x, _ in points})
        ys = [y for points in panel.curves.values() for _, y in points]
        self.xs, self.logarithmic_y = xs, panel.logarithmic_y
        if panel.logarithmic_y:
            self.low, self.high = 10 ** math.floor(math.log10(min(ys))), 10 ** math.ceil(math.log10(max(ys)))
            decades = round(math.log10(self.high / self.low))
            self.lines = [self.low * 10 ** n for n in range(decades + 1)]
        else:
            step = round_step(max(ys) * 1.1)
            self.low, self.high = 0, step * math.ceil(max(ys) * 1.05 / step)
            self.lines = [n * step for n in range(round(self.high / step) + 1)]

    def x(self, value):
        part = math.log(value / self.xs[0]) / math.log(self.xs[-1] / self.xs[0])
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        part = math.log(value / self.low) / math.log(self.high / self.low) if self.logarithmic_y else value / self.high
        return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)


def text(x, y, words, anchor="middle", kind=""):
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def grid(panel, scales):
    parts = [text(LEFT, 20, panel.title, "start", "title"), text((LEFT + WIDTH) / 2, HEIGHT - 8, panel.x_title)]
    for value in scales.lines:
        y = scales.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(text(LEFT - 6, y + 4, f"{value:g}", "end"))
    parts.append(f'<g transform="translate(14 {HEIGHT / 2:.0f}) rotate(-90)">{text(0, 0, panel.y_title)}</g>')
    return parts + [text(scales.x(x), HEIGHT - BOTTOM + 18, short(x)) for x in scales.xs]


def curve(points, scales, colour):
    places = [(scales.x(x), scales.y(y)) for x, y in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)
    return [f'<polyline points="{line}" stroke="{colour}"/>', dots]


def panel_parts(panel):
    scales = Scales(panel)
    parts, place = grid(panel, scales), LEFT
    for colour, (title, points) in zip(COLOURS, panel.curves.items()):
        parts += curve(points, scales, colour)
        parts.append(f'<rect x="{place}" y="33" width="14" height="4" fill="{colour}"/>')
        parts.append(text(place + 18, 40, title, "start"))
        place += 32 + 6 * len(title)
    return parts


def draw(panels, foot):
    rows = (len(panels) + 1) // 2
    width, height = 2 * WIDTH, rows * HEIGHT + 24
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             f'viewBox="0 0 {width} {height}">', STYLE, f'<rect class="frame" width="{width}" height="{height}"/>']
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate({number % 2 * WIDTH} {number // 2 * HEIGHT})">')
        parts += [*panel_parts(panel), "</g>"]
    return "\n".join([*parts, text(LEFT, height - 8, foot, "start"), "</svg>", ""])
