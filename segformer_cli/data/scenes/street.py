"""Which street it is: where the camera stands, what lies beside the road, how the light falls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from segformer_cli.data.scenes.canvas import Colour, Points

NEAR = 2.5
FAR = 125.0
KERB = 0.13
"""Metres: the nearest point that is drawn, the end of the street, the height of the kerb."""

Item = TypeVar("Item")
Random = np.random.Generator


def pick(rng: Random, items: tuple[Item, ...]) -> Item:
    """One of the items, each as likely as the others."""
    return items[int(rng.integers(len(items)))]


def chance(rng: Random, probability: float) -> bool:
    """True with this probability."""
    return bool(rng.random() < probability)


def vary(rng: Random, colour: Colour, amount: int = 14) -> Colour:
    """A colour near this one: a little lighter or darker, a little off its hue."""
    light, *hue = rng.integers(-amount, amount + 1, 4).tolist()
    return (
        min(max(colour[0] + light + hue[0] // 3, 0), 255),
        min(max(colour[1] + light + hue[1] // 3, 0), 255),
        min(max(colour[2] + light + hue[2] // 3, 0), 255),
    )


def toned(colour: Colour, factor: float) -> Colour:
    """The colour made lighter (above 1) or darker (below 1)."""
    return (
        min(int(colour[0] * factor), 255),
        min(int(colour[1] * factor), 255),
        min(int(colour[2] * factor), 255),
    )


@dataclass(frozen=True)
class Camera:
    """Metres (x right, y up, z ahead) to the picture (1 high, 2 wide, origin top left)."""

    horizon: float
    centre: float
    focal: float
    height: float
    roll: float
    bend: float

    def project(self, points: Points) -> Points:
        """Picture coordinates (..., 2) of points (..., 3); the street bends away by bend * z**2."""
        z = np.maximum(points[..., 2], NEAR)
        scale = self.focal / z
        across = (points[..., 0] + self.bend * z * z) * scale
        down = (self.height - points[..., 1]) * scale
        picture = np.empty((*z.shape, 2))
        picture[..., 0] = self.centre + across - self.roll * down
        picture[..., 1] = self.horizon + down + self.roll * across
        return picture

    def upright(self, at: tuple[float, float, float]) -> tuple[Points, Points]:
        """Matrix (2, 2) and origin (2,) that take metres (right, up) around a point to the picture."""
        scale = self.focal / max(at[2], NEAR)
        matrix = np.array([[scale, self.roll * scale], [self.roll * scale, -scale]])
        return matrix, self.project(np.array(at))

    def enters_at(self, x: float) -> float:
        """The distance from which the ground at x metres to the side is in the picture."""
        room = self.centre if x < 0 else 2.0 - self.centre
        return max(abs(x) * self.focal / room, self.height * self.focal / (1.0 - self.horizon))


@dataclass(frozen=True)
class Weather:
    """What the sky of one hour is like; colours vary a little from street to street."""

    weight: float
    ambient: float
    tint: tuple[float, float, float]
    zenith: Colour
    haze: Colour
    sight: float
    cloud: Colour
    clouds: tuple[float, float]
    lamps_on: bool = False


WEATHERS = (
    Weather(0.36, 0.62, (1.04, 1.02, 0.98), zenith=(82, 136, 208), haze=(190, 212, 234),
            sight=1.0, cloud=(244, 246, 248), clouds=(0.0, 0.6)),
    Weather(0.19, 0.74, (1.0, 1.0, 0.99), zenith=(150, 176, 206), haze=(206, 212, 216),
            sight=0.5, cloud=(226, 228, 230), clouds=(0.2, 0.8)),
    Weather(0.23, 0.92, (0.83, 0.83, 0.85), zenith=(172, 178, 186), haze=(206, 208, 210),
            sight=0.5, cloud=(138, 144, 152), clouds=(0.5, 0.9)),
    Weather(0.14, 0.56, (1.10, 0.98, 0.82), zenith=(120, 146, 190), haze=(246, 214, 170),
            sight=1.0, cloud=(250, 206, 160), clouds=(0.1, 0.7)),
    Weather(0.08, 0.86, (0.62, 0.64, 0.76), zenith=(70, 90, 136), haze=(186, 164, 160),
            sight=1.0, cloud=(132, 120, 136), clouds=(0.1, 0.7), lamps_on=True),
)
"""Clear, hazy, overcast, golden, dusk."""


@dataclass(frozen=True)
class Light:
    """Sun, sky and haze over one street."""

    weather: Weather
    sun: tuple[float, float, float]
    zenith: Colour
    haze: Colour
    haze_distance: float
    cloudiness: float

    def on(self, colour: Colour, normal: tuple[float, float, float], z: float) -> Colour:
        """How a surface with this normal looks at a distance of z metres."""
        sun, tint, haze = self.sun, self.weather.tint, self.haze
        ambient = self.weather.ambient
        facing = max(normal[0] * sun[0] + normal[1] * sun[1] + normal[2] * sun[2], 0.0)
        clear = self.haze_distance / (self.haze_distance + z)
        shade, veil = (ambient + (1.05 - ambient) * facing) * clear, 1.0 - clear
        return (
            min(int(colour[0] * shade * tint[0] + haze[0] * veil), 255),
            min(int(colour[1] * shade * tint[1] + haze[1] * veil), 255),
            min(int(colour[2] * shade * tint[2] + haze[2] * veil), 255),
        )


@dataclass(frozen=True)
class Side:
    """What lies between the road and the houses on one side; all in metres from the camera's line."""

    sign: int
    lane_edge: float
    road_edge: float
    verge: tuple[float, float]
    back: float

    @property
    def parking(self) -> float | None:
        """Where the parked cars stand, if there is room for them."""
        return (self.lane_edge + self.road_edge) / 2 if self.road_edge - self.lane_edge > 1.5 else None

    @property
    def kerb_line(self) -> float:
        """Where poles, signs and lights stand."""
        return self.road_edge + 0.55

    @property
    def walkway(self) -> tuple[float, float]:
        """The sidewalk between kerb, verge and houses."""
        start, end = self.verge
        if start - self.road_edge > self.back - end:
            return self.road_edge, start
        return end, self.back


@dataclass(frozen=True)
class Street:
    """One street: the camera, the light, the lanes and both sides of the road."""

    camera: Camera
    light: Light
    lane_width: float
    lanes_left: int
    lanes_right: int
    sides: tuple[Side, Side]
    crossing: float | None


def choose_street(rng: Random) -> Street:
    """A street drawn by lot."""
    camera = Camera(
        horizon=rng.uniform(0.36, 0.50),
        centre=rng.uniform(0.75, 1.25),
        focal=rng.uniform(1.5, 2.05),
        height=rng.uniform(1.25, 1.75),
        roll=rng.uniform(-0.018, 0.018),
        bend=rng.uniform(-0.0011, 0.0011),
    )
    lane_width = rng.uniform(2.9, 3.6)
    lanes_left, lanes_right = 2 if chance(rng, 0.35) else 1, 1 if chance(rng, 0.3) else 0
    shift = rng.uniform(-0.35, 0.35)
    left = choose_side(rng, -1, lane_width * (lanes_left + 0.5) + shift)
    right = choose_side(rng, 1, lane_width * (lanes_right + 0.5) - shift)
    crossing = rng.uniform(9.0, 20.0) if chance(rng, 0.4) else None
    return Street(camera, choose_light(rng), lane_width, lanes_left, lanes_right, (left, right), crossing)


def choose_side(rng: Random, sign: int, lane_edge: float) -> Side:
    """Kerb, grass strip and sidewalk of one side, counted from the edge of its last lane."""
    road_edge = lane_edge + (rng.uniform(2.1, 2.5) if chance(rng, 0.45) else rng.uniform(0.3, 0.8))
    walkway, grass = rng.uniform(2.2, 4.8), rng.uniform(1.6, 3.8)
    order = rng.random()
    if order < 0.28:
        verge, back = (road_edge + walkway, road_edge + walkway), road_edge + walkway
    elif order < 0.66:
        verge, back = (road_edge + 0.2, road_edge + grass), road_edge + grass + walkway
    else:
        verge, back = (road_edge + walkway, road_edge + walkway + grass), road_edge + walkway + grass
    return Side(sign, lane_edge, road_edge, verge, back)


def choose_light(rng: Random) -> Light:
    """A weather by lot, with the sun anywhere but low ahead."""
    share, weather = rng.random(), WEATHERS[-1]
    for candidate in WEATHERS:
        if share < candidate.weight:
            weather = candidate
            break
        share -= candidate.weight
    east, ahead, up = rng.uniform(-1, 1), rng.uniform(-1, 0.5), rng.uniform(0.5, 1.3)
    length = (east * east + ahead * ahead + up * up) ** 0.5
    return Light(
        weather=weather,
        sun=(east / length, up / length, ahead / length),
        zenith=vary(rng, weather.zenith, 22),
        haze=vary(rng, weather.haze, 14),
        haze_distance=rng.uniform(90, 400) * weather.sight,
        cloudiness=rng.uniform(*weather.clouds),
    )
