"""One whole street scene from a seed."""

from __future__ import annotations

import numpy as np

from segformer_cli.data.scenes.buildings import draw_street_end
from segformer_cli.data.scenes.canvas import Canvas, Pixels
from segformer_cli.data.scenes.finish import finish
from segformer_cli.data.scenes.ground import draw_ground, draw_sky
from segformer_cli.data.scenes.layout import draw_plots, place_things
from segformer_cli.data.scenes.painter import Painter
from segformer_cli.data.scenes.street import choose_street


def draw_scene(seed: int, size_hw: tuple[int, int] = (256, 512)) -> tuple[Pixels, Pixels]:
    """A street: its image (H, W, 3), RGB, and its Cityscapes labelIds (H, W).

    The same seed gives the same bytes; at another size it gives the same street, scaled (stretched
    where the picture is not twice as wide as high).
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    street = choose_street(rng)
    things = place_things(street, rng)
    painter = Painter(Canvas(size_hw), street, rng)
    draw_sky(painter)
    draw_ground(painter)
    draw_street_end(painter)
    for side in street.sides:
        draw_plots(painter, side)
    for thing in things:
        thing.draw(painter)
    image, labels = painter.canvas.finished()
    return finish(image, labels, street, things, rng), labels
