"""Houses along the street and at its end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segformer_cli.data.scenes.canvas import Colour, Label, Points
from segformer_cli.data.scenes.painter import Painter, block, panes
from segformer_cli.data.scenes.street import FAR, Random, chance, pick, toned, vary

PLASTER: tuple[Colour, ...] = (
    (214, 200, 172), (196, 186, 176), (226, 218, 204), (178, 120, 96), (158, 96, 78), (200, 170, 132),
    (168, 164, 160), (206, 190, 140), (184, 156, 150), (144, 132, 124), (188, 200, 196), (232, 206, 168),
)
GLASS: tuple[Colour, ...] = ((52, 62, 74), (84, 100, 118), (34, 40, 48))
LAMPLIGHT = (250, 214, 140)
PLAIN_FROM = 55.0
"""Metres: houses farther away show windows and nothing else."""
ROOFS: tuple[Colour, ...] = ((128, 70, 56), (92, 84, 82), (110, 92, 84), (74, 78, 86))
AWNINGS: tuple[Colour, ...] = ((170, 44, 44), (40, 92, 74), (44, 66, 120), (214, 190, 150), (120, 60, 90))


@dataclass(frozen=True)
class Facade:
    """One wall with windows: where it starts, which way it runs, how it is dressed."""

    origin: tuple[float, float, float]
    along: tuple[float, float]
    length: float
    height: float
    normal: tuple[float, float, float]
    colour: Colour


@dataclass(frozen=True)
class Dress:
    """How the windows of one house look on all its walls."""

    storey: float
    bay: float
    window: tuple[float, float]
    trim: Colour
    shop: Colour | None
    balconies: bool
    bands: bool


def choose_dress(rng: Random) -> Dress:
    """A style drawn by lot."""
    bay = rng.uniform(1.9, 3.2)
    wide = bay * rng.uniform(0.72, 0.86) if chance(rng, 0.25) else rng.uniform(0.95, 1.4)
    return Dress(
        storey=rng.uniform(2.9, 3.7),
        bay=bay,
        window=(wide, rng.uniform(1.4, 2.0)),
        trim=vary(rng, pick(rng, ((232, 230, 224), (120, 110, 100), (206, 196, 180), (84, 84, 88)))),
        shop=vary(rng, pick(rng, AWNINGS)) if chance(rng, 0.4) else None,
        balconies=chance(rng, 0.25),
        bands=chance(rng, 0.5),
    )


def draw_house(painter: Painter, x: float, near: float, far: float, height: float) -> None:
    """A house whose front stands x metres to the side and looks at the road."""
    rng = painter.rng
    colour, depth = vary(rng, pick(rng, PLASTER), 20), rng.uniform(8.0, 12.0)
    dress = choose_dress(rng)
    sign = 1.0 if x > 0 else -1.0
    back = x + sign * depth
    faces = block(min(x, back), max(x, back), near, far, 0.0, height)
    painter.solid([(face, colour) for face in faces], Label.BUILDING)
    if x > 0:
        front = Facade((x, 0.0, far), (0.0, -1.0), far - near, height, (-1.0, 0.0, 0.0), colour)
    else:
        front = Facade((x, 0.0, near), (0.0, 1.0), far - near, height, (1.0, 0.0, 0.0), colour)
    gable = Facade((min(x, back), 0.0, near), (1.0, 0.0), depth, height, (0.0, 0.0, -1.0), colour)
    if near > 4.0:
        draw_windows(painter, gable, dress)
    draw_windows(painter, front, dress)
    if chance(rng, 0.5):
        draw_roof(painter, x, back, near, far, height)


def draw_roof(painter: Painter, x: float, back: float, near: float, far: float, height: float) -> None:
    """A ridge roof over the house, its gable in the roof's own colour."""
    ridge, top = (x + back) / 2, height + painter.rng.uniform(1.6, 3.4)
    tiles = vary(painter.rng, pick(painter.rng, ROOFS))
    slope = np.array([(x, height, near), (ridge, top, near), (ridge, top, far), (x, height, far)])
    if x < 0:
        slope = slope[[3, 2, 1, 0]]
    left, right = min(x, back), max(x, back)
    gable = np.array([(left, height, near), (ridge, top, near), (right, height, near)])
    painter.solid([(gable, toned(tiles, 0.9)), (slope, tiles)], Label.BUILDING)


def paint(
    painter: Painter,
    facade: Facade,
    starts: npt.ArrayLike,
    bottoms: npt.ArrayLike,
    size: tuple[float, float],
    colour: Colour,
) -> None:
    """A grid of rectangles of one size and colour on a facade."""
    painter.surface(panes(facade.origin, facade.along, starts, bottoms, size), colour, None, facade.normal)


def draw_windows(painter: Painter, facade: Facade, dress: Dress) -> None:
    """Cornice, frames and glass; nearer houses also get bands, balconies, a shop or a door."""
    storeys = max(int((facade.height - 0.5) / dress.storey), 1)
    bays = max(int(facade.length / dress.bay), 1)
    wide, high = dress.window
    starts = (facade.length - (bays - 1) * dress.bay - wide) / 2 + dress.bay * np.arange(bays)
    bottoms = 0.95 + dress.storey * np.arange(0 if dress.shop is None else 1, storeys)
    darker = toned(facade.colour, 0.82)
    eaves = dress.trim if dress.bands else darker
    paint(painter, facade, [0.0], [facade.height - 0.35], (facade.length, 0.35), eaves)
    if facade.origin[2] > PLAIN_FROM:
        paint(painter, facade, starts, bottoms, dress.window, GLASS[1])
        return
    if dress.bands:
        paint(painter, facade, [0.0], dress.storey * np.arange(1, storeys), (facade.length, 0.14), darker)
    paint(painter, facade, starts - 0.12, bottoms - 0.12, (wide + 0.24, high + 0.24), dress.trim)
    draw_glass(painter, facade, panes(facade.origin, facade.along, starts, bottoms, dress.window))
    paint(painter, facade, starts + wide / 2 - 0.04, bottoms, (0.08, high), dress.trim)
    if dress.balconies and storeys > 1:
        rail = toned(dress.trim, 0.75)
        paint(painter, facade, starts[::2] - 0.3, bottoms[1:] - 0.3, (wide + 0.6, 0.75), rail)
    if dress.shop is not None:
        draw_shop(painter, facade, dress.shop)
    else:
        wood = vary(painter.rng, (92, 62, 48), 24)
        paint(painter, facade, [starts[bays // 2] + wide * 0.1], [0.0], (1.0, 2.25), wood)


def draw_glass(painter: Painter, facade: Facade, glass: Points) -> None:
    """The panes (M, 4, 3), each dark, reflecting the sky or lit from inside."""
    light, rng = painter.street.light, painter.rng
    shine = LAMPLIGHT if light.weather.lamps_on else toned(light.haze, 0.72)
    tone = rng.integers(0, len(GLASS) + 1, len(glass))
    for number, colour in enumerate((*GLASS, shine)):
        painter.surface(glass[tone == number], vary(rng, colour, 10), None, facade.normal)


def draw_shop(painter: Painter, facade: Facade, colour: Colour) -> None:
    """Wide shop windows under a coloured board."""
    rng = painter.rng
    width = rng.uniform(2.4, 4.5)
    starts = np.arange(0.4, max(facade.length - width, 0.5), width + 0.5)
    paint(painter, facade, starts, [0.4], (width, 2.0), vary(rng, (58, 62, 66), 16))
    paint(painter, facade, starts + width * 0.15, [0.5], (width * 0.3, 1.0), vary(rng, (190, 150, 110), 50))
    paint(painter, facade, [0.2], [2.5], (facade.length - 0.4, 0.65), colour)


def draw_street_end(painter: Painter) -> None:
    """The houses that close the street far away."""
    rng, x = painter.rng, -75.0
    while x < 75.0:
        width, height = rng.uniform(9, 20), rng.uniform(6, 17)
        colour = vary(rng, pick(rng, PLASTER), 20)
        wall = np.array([(x, 0, FAR), (x, height, FAR), (x + width, height, FAR), (x + width, 0, FAR)])
        painter.surface(wall, colour, Label.BUILDING, (0.0, 0.0, -1.0))
        end = Facade((x, 0.0, FAR), (1.0, 0.0), width, height, (0.0, 0.0, -1.0), colour)
        columns, rows = np.arange(1.0, width - 1.5, 3.0), np.arange(1.0, height - 2.0, 3.3)
        paint(painter, end, columns, rows, (1.5, 1.8), GLASS[1])
        x += width
