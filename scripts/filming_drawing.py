"""Draw docs/images/filming-topview.svg: the two ways to show all sides of a person, and one that does not work.

python scripts/filming_drawing.py
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / "docs" / "images" / "filming-topview.svg"
WIDTH, HEIGHT, PANEL = 960, 320, 320
CENTRE_Y, ROUND = 165, 92  # of the person, and radius of the phone's path
GREEN, RED, BLUE, GREY, DARK = "#2f6b3a", "#b5462f", "#4a86b8", "#777", "#333"
LABEL = (
    "Top view. Good: the person turns once on the spot while the phone stands still, or the person stands still while "
    "the phone is carried once round them. Not good: only one side is filmed."
)


def text(x: float, y: float, words: str, color: str = DARK, bold: bool = False) -> str:
    """Words centred at a place."""
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="middle" fill="{color}"{weight}>{words}</text>'


def person(x: float, y: float, color: str) -> str:
    """A person from above, arms spread, facing down the page."""
    return (
        f'<path d="M{x - 14:g} {y:g} h-34 M{x + 14:g} {y:g} h34" stroke="{color}" stroke-width="7" '
        f'stroke-linecap="round"/><circle cx="{x:g}" cy="{y:g}" r="14" fill="{color}"/>'
        f'<path d="M{x - 5:g} {y + 12:g} L{x:g} {y + 20:g} L{x + 5:g} {y + 12:g} z" fill="{color}"/>'
    )


def place(x: float, y: float, radius: float, degrees: float) -> tuple[float, float]:
    """A place on a circle; 0 degrees is below, counted anticlockwise as seen on the page."""
    angle = math.radians(degrees)
    return x + radius * math.sin(angle), y + radius * math.cos(angle)


def phone(x: float, y: float, degrees: float, sight: float = 0.0, opacity: float = 1.0) -> str:
    """A phone on the circle round (x, y), looking at its middle, with the edges of what it sees `sight` pixels long."""
    px, py = place(x, y, ROUND, degrees)
    edges = ""
    if sight:
        ends = (place(px, py, sight, degrees + 180 + side) for side in (-24, 24))
        lines = " ".join(f"M{px:.1f} {py:.1f} L{ex:.1f} {ey:.1f}" for ex, ey in ends)
        edges = f'<path d="{lines}" stroke="{BLUE}" stroke-dasharray="6 5" fill="none"/>'
    return (
        f'{edges}<rect x="{px - 18:.1f}" y="{py - 5:.1f}" width="36" height="10" rx="3" fill="{DARK}" '
        f'opacity="{opacity:g}" transform="rotate({-degrees:g} {px:.1f} {py:.1f})"/>'
    )


def arrow(x: float, y: float, radius: float, start: float, end: float, color: str) -> str:
    """An arc round (x, y) with a head at its end."""
    (ax, ay), (bx, by) = place(x, y, radius, start), place(x, y, radius, end)
    large = 1 if abs(end - start) > 180 else 0
    sweep = 0 if end > start else 1
    back = math.copysign(720 / radius, end - start)
    tips = [place(x, y, radius + side, end - back) for side in (-7, 7)]
    tip = place(x, y, radius, end + back / 3)
    head = " L".join(f"{hx:.1f} {hy:.1f}" for hx, hy in (tips[0], tip, tips[1]))
    return (
        f'<path d="M{ax:.1f} {ay:.1f} A{radius:g} {radius:g} 0 {large} {sweep} {bx:.1f} {by:.1f}" fill="none" '
        f'stroke="{color}" stroke-width="3"/><path d="M{head} z" fill="{color}"/>'
    )


def turn_on_the_spot(x: float) -> Iterable[str]:
    """The phone stands, the person turns."""
    yield text(x, 30, "Good: turn on the spot", GREEN, bold=True)
    yield phone(x, CENTRE_Y, 0, sight=185)
    yield person(x, CENTRE_Y - 20, GREEN)
    yield arrow(x, CENTRE_Y - 20, 62, 40, 330, GREEN)
    yield text(x, 308, "the phone stands still, they turn once")


def walk_round(x: float) -> Iterable[str]:
    """The person stands, the phone goes round."""
    yield text(x, 30, "Good: walk round the person", GREEN, bold=True)
    for degrees in (72, 144, 216, 288):
        yield phone(x, CENTRE_Y, degrees, opacity=0.35)
    yield phone(x, CENTRE_Y, 0, sight=120)
    yield person(x, CENTRE_Y, GREEN)
    yield arrow(x, CENTRE_Y, ROUND + 20, 20, 372, GREEN)
    yield text(x, 308, "they hold still, the phone goes once round")


def one_side(x: float) -> Iterable[str]:
    """Neither turns: only one side is in view."""
    yield text(x, 30, "Not enough: a quarter of a turn", RED, bold=True)
    yield person(x, CENTRE_Y - 20, GREY)
    for degrees in (-40, 40):
        yield phone(x, CENTRE_Y, degrees, opacity=0.35)
    yield phone(x, CENTRE_Y, 0)
    yield arrow(x, CENTRE_Y, ROUND + 20, -48, 48, RED)
    yield f'<path d="M{x - 60:g} 106 A80 80 0 0 1 {x + 60:g} 106" fill="none" stroke="{RED}" stroke-dasharray="4 5"/>'
    yield text(x, 64, "the back is a guess", RED)
    yield text(x, 308, "nobody turns, and the phone hardly moves")


def main() -> None:
    """Write the drawing."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="{LABEL}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#fafafa" stroke="#ddd"/>',
    ]
    for number, panel in enumerate((turn_on_the_spot, walk_round, one_side)):
        if number:
            parts.append(
                f'<line x1="{number * PANEL}" y1="15" x2="{number * PANEL}" y2="{HEIGHT - 15}" stroke="#ddd"/>'
            )
        parts += panel((number + 0.5) * PANEL)
    OUT.write_text("\n  ".join(parts) + "\n</svg>\n", encoding="utf-8")


if __name__ == "__main__":
    main()
