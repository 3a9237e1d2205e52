"""Who stands where: the plots along the street and the things on road and sidewalk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from segformer_cli.data.scenes.buildings import draw_house
from segformer_cli.data.scenes.furniture import draw_fence, draw_lamp, draw_light, draw_sign, draw_wall
from segformer_cli.data.scenes.painter import Painter
from segformer_cli.data.scenes.people import (
    choose_slant,
    draw_bicycle,
    draw_person,
    draw_rider,
    draw_rider_along,
)
from segformer_cli.data.scenes.plants import draw_garden, draw_hedge, draw_tree
from segformer_cli.data.scenes.street import FAR, KERB, NEAR, Random, Side, Street, chance, pick
from segformer_cli.data.scenes.vehicles import draw_bus, draw_car

AHEAD, TOWARDS = (0.0, 1.0), (0.0, -1.0)
REACH = 28.0
"""Metres to which thin things are drawn: beyond, a pole of a 512-pixel picture is under four pixels wide."""


@dataclass(frozen=True)
class Thing:
    """Something on the road or the sidewalk: its footprint, its height for the shadow, how it is drawn."""

    x: float
    z: float
    half_width: float
    half_length: float
    height: float
    draw: Callable[[Painter], None]


def draw_plots(painter: Painter, side: Side) -> None:
    """Houses, or gardens behind fences, walls and hedges, from the far end to the camera."""
    rng = painter.rng
    bounds, z = [], NEAR
    while z < FAR - 5.0:
        end = min(z + rng.uniform(9.0, 18.0), FAR)
        bounds.append((z, end))
        z = end
    kinds = ("house", "house", "house", "fence", "fence", "fence", "wall", "wall", "wall", "hedge")
    kind, tall = pick(rng, kinds), rng.uniform(5.5, 16.0)
    seen_from = painter.street.camera.enters_at(side.sign * side.back)
    for near, far in reversed([bound for bound in bounds if bound[1] > seen_from]):
        if chance(rng, 0.6):
            kind = pick(rng, kinds)
        height = max(tall + rng.uniform(-2.5, 2.5), 4.5)
        if kind == "house":
            draw_house(painter, side.sign * side.back, near, far, height)
        else:
            draw_set_back(painter, side, near, far, kind)


def draw_set_back(painter: Painter, side: Side, near: float, far: float, kind: str) -> None:
    """A garden with a house or trees in it, closed by a fence, a wall or a hedge."""
    rng, x = painter.rng, side.sign * side.back
    if chance(rng, 0.6):
        front = x + side.sign * rng.uniform(4.0, 8.0)
        draw_house(painter, front, near + 0.8, far - 0.8, rng.uniform(4.5, 9.0))
    draw_garden(painter, x, near + 1.0, far)
    if kind == "fence":
        draw_fence(painter, x, near, far)
    elif kind == "wall":
        draw_wall(painter, x, near, far)
    else:
        draw_hedge(painter, x, 0.8, near, far, rng.uniform(1.0, 2.0))


def place_things(street: Street, rng: Random) -> list[Thing]:
    """Everything on road and sidewalk, the farthest first."""
    things = [*moving_vehicles(street, rng), *cyclists(street, rng), *crossing_people(street, rng)]
    for side in street.sides:
        things += parked_cars(street, side, rng)
        things += kerb_furniture(street, side, rng)
        things += walkers(street, side, rng)
    return sorted(things, key=lambda thing: -thing.z)


def vehicle(x: float, z: float, heading: tuple[float, float], is_bus: bool) -> Thing:
    """A car or a bus whose near end is z metres away."""
    if is_bus:
        return Thing(x, z, 1.25, 4.9, 3.0, partial(draw_bus, x=x, z=z + 5.0, heading=heading))
    half_width, half_length = (0.9, 2.0) if heading[0] == 0 else (2.0, 0.9)
    draw = partial(draw_car, x=x, z=z + half_length, heading=heading)
    return Thing(x, z, half_width, half_length, 1.45, draw)


def moving_vehicles(street: Street, rng: Random) -> Iterator[Thing]:
    """Traffic in every lane: away from the camera on its side of the road, towards it on the other."""
    bus_lane = int(rng.integers(-street.lanes_left, street.lanes_right + 1)) if chance(rng, 0.48) else None
    middle = street.sides[1].lane_edge - street.lane_width * (street.lanes_right + 0.5)
    for lane in range(-street.lanes_left, street.lanes_right + 1):
        x = middle + lane * street.lane_width + rng.uniform(-0.25, 0.25)
        heading = AHEAD if lane >= 0 else TOWARDS
        z = max(street.camera.enters_at(x) + 1.0, 9.0 if lane == 0 else 6.5) + rng.uniform(0.0, 14.0)
        if lane == bus_lane:
            yield vehicle(x, z, heading, is_bus=True)
            z += 16.0
        while z < 60.0:
            if chance(rng, 0.62):
                yield vehicle(x, z, heading, is_bus=False)
            z += rng.uniform(9.0, 18.0)
    if chance(rng, 0.12):
        x, heading = rng.uniform(-4.0, 4.0), pick(rng, ((1.0, 0.0), (-1.0, 0.0)))
        yield vehicle(x, rng.uniform(14.0, 24.0), heading, is_bus=False)


def parked_cars(street: Street, side: Side, rng: Random) -> Iterator[Thing]:
    """A row of cars along the kerb, with gaps."""
    if side.parking is None:
        return
    x = side.sign * side.parking
    z = street.camera.enters_at(x) * 0.85 + rng.uniform(0, 5)
    full = rng.uniform(0.3, 0.85)
    while z < 55.0:
        if chance(rng, full):
            yield vehicle(x, z, AHEAD if side.sign > 0 or chance(rng, 0.2) else TOWARDS, is_bus=False)
        z += rng.uniform(5.4, 7.2)


def kerb_furniture(street: Street, side: Side, rng: Random) -> Iterator[Thing]:
    """Lamps, signs, lights, trees and parked bicycles along one kerb."""
    x = side.sign * side.kerb_line
    z = street.camera.enters_at(x) + rng.uniform(0.3, 3.0)
    kinds = ("lamp", "sign", "sign", "light", "bicycles", "tree")
    while z < REACH:
        kind = pick(rng, kinds)
        if kind == "lamp":
            yield Thing(x, z, 0.12, 0.12, 6.0, partial(draw_lamp, x=x, z=z))
        elif kind == "sign":
            yield Thing(x, z, 0.12, 0.12, 2.8, partial(draw_sign, x=x, z=z))
        elif kind == "light":
            yield Thing(x, z, 0.15, 0.15, 3.2, partial(draw_light, x=x, z=z))
        elif kind == "tree":
            height = rng.uniform(5.0, 8.0)
            yield Thing(x, z, 1.2, 0.8, 5.0, partial(draw_tree, x=x, z=z, height=height, ground=KERB))
        else:
            for k in range(int(rng.integers(1, 4))):
                at, slant = z + 0.7 * k, choose_slant(rng)
                yield Thing(x, at, 0.8, 0.2, 0.8, partial(draw_bicycle, x=x, z=at, ground=KERB, slant=slant))
        z += rng.uniform(2.6, 5.5)


def walkers(street: Street, side: Side, rng: Random) -> Iterator[Thing]:
    """People on the sidewalk, alone or two together."""
    start, end = side.walkway
    z = street.camera.enters_at(side.sign * start) + rng.uniform(0.3, 5.0)
    while z < 24.0:
        x = side.sign * rng.uniform(start + 0.4, end - 0.4)
        yield Thing(x, z, 0.25, 0.2, 1.7, partial(draw_person, x=x, z=z, ground=KERB))
        if chance(rng, 0.35):
            beside, at = x + rng.uniform(0.5, 0.7), z + rng.uniform(0.0, 0.4)
            yield Thing(beside, at, 0.25, 0.2, 1.7, partial(draw_person, x=beside, z=at, ground=KERB))
        z += rng.uniform(2.5, 9.0)


def crossing_people(street: Street, rng: Random) -> Iterator[Thing]:
    """People on the zebra crossing, and now and then somebody who crosses without one."""
    left, right = (side.road_edge for side in street.sides)
    if street.crossing is None and chance(rng, 0.75):
        return
    z = street.crossing or rng.uniform(9.0, 18.0)
    for _ in range(int(rng.integers(1, 4))):
        x, at = rng.uniform(-left, right), z + rng.uniform(0.2, 2.8)
        yield Thing(x, at, 0.25, 0.2, 1.7, partial(draw_person, x=x, z=at, ground=0.0))


def cyclists(street: Street, rng: Random) -> Iterator[Thing]:
    """Riders: some along the edge of the lanes, some across the road."""
    left, right = street.sides
    for x, oncoming in ((right.lane_edge - 0.5, False), (0.6 - left.lane_edge, True)):
        if chance(rng, 0.55):
            z = max(street.camera.enters_at(x) + 0.8, 7.0) + rng.uniform(0.0, 9.0)
            yield Thing(x, z, 0.3, 0.8, 1.7, partial(draw_rider_along, x=x, z=z, oncoming=oncoming))
    for _ in range(int(rng.integers(0, 3))):
        z, slant = rng.uniform(7.5, 17.0), choose_slant(rng)
        x = rng.uniform(-0.8, 0.8) * z / street.camera.focal
        x = min(max(x, -left.road_edge), right.road_edge)
        yield Thing(x, z, 0.8, 0.2, 1.6, partial(draw_rider, x=x, z=z, slant=slant))
