"""Drawn street scenes: `draw_scene(seed)` gives an image and its exact labels.

    canvas      image and labels, filled by the same polygons
    street      which street: camera, light, road and sides, all by lot
    painter     metres to picture, lit and hazed
    ground buildings plants furniture vehicles people      what is drawn
    layout      who stands where
    finish      shadows, grain, lens
    scene       all of it, in order
"""

from segformer_cli.data.scenes.canvas import Label as Label
from segformer_cli.data.scenes.scene import draw_scene as draw_scene
