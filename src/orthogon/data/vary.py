"""The declared changes of one example, its boxes, landmarks and masks moved with the picture.

The geometry is torchvision's, `transforms.v2.functional` on its typed tensors, which knows how each kind moves. A batch
of pictures that nothing is marked in takes the tensor form of `data/augment.py`; a test holds the two together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor

from orthogon.data.augment import Draws, displacements, matrices, repaint, sampled
from orthogon.errors import ShapeError

INVERSE_STEPS = 8  # of the fixed point that finds where the warp takes a point; each gains a digit or more


@dataclass(frozen=True)
class Marked:
    """A picture and what is marked in it, in its pixels: pixel i spans i to i + 1.

    image: (C, H, W) float, 0..255. boxes: (n, 4) xyxy. landmarks: (n, 2) x, y. masks: (n, H, W) bool.
    """

    image: Tensor
    boxes: Tensor | None = None
    landmarks: Tensor | None = None
    masks: Tensor | None = None


def vary(example: Marked, draws: Draws, colors: Tensor | None = None) -> Marked:
    """The example changed as drawn.

    A moved box is the smallest upright one around its moved corners, cut at the picture's edge: one that left the
    picture has no area. A landmark may lie outside; its place then tells where it would be. What a
    mask is moved in from outside is 0, while the picture repeats its border.

    Args:
        draws: of this example alone, so of length 1.
        colors: as in `augment.change`.
    Raises:
        ShapeError: masks of another size than the picture, or boxes and landmarks that are none.
    """
    from torchvision import tv_tensors
    from torchvision.transforms.v2 import functional as tvf

    H, W = example.image.shape[-2:]
    _check(example, H, W)
    margin = _margin(draws, H, W)
    size = (H + 2 * margin, W + 2 * margin)
    affine: dict[str, Any] = {
        "angle": float(draws.angle),
        "translate": [float(draws.shift[0, 0]) * W, float(draws.shift[0, 1]) * H],
        "scale": float(draws.zoom),
        "shear": [float(value) for value in draws.shear[0]],
    }
    field = _field(draws, H, W, margin) if float(draws.warp) else None
    side, left, top = (float(value) for value in draws.crop[0])
    window = {
        "top": margin + round(top * H),
        "left": margin + round(left * W),
        "height": max(1, round(side * H)),
        "width": max(1, round(side * W)),
        "size": [H, W],
    }

    still = affine == {"angle": 0.0, "translate": [0.0, 0.0], "scale": 1.0, "shear": [0.0, 0.0]}
    smooth = tvf.InterpolationMode.BILINEAR

    def moved(what: Tensor) -> Tensor:
        """Planes of the size of the picture with its margin, or boxes in them."""
        if draws.mirror[0]:
            what = tvf.horizontal_flip(what)
        if not still:
            what = tvf.affine(what, **affine, interpolation=smooth)
        if field is not None:
            if isinstance(what, tv_tensors.BoundingBoxes):
                what = tv_tensors.wrap(_warped(what.as_subclass(Tensor), field, size), like=what)
            else:
                what = tvf.elastic(what, field, interpolation=smooth)
        return tvf.resized_crop(what, **window, interpolation=smooth).as_subclass(Tensor)

    def moved_points(points: Tensor) -> Tensor:
        """(n, 2) as boxes of no size: torchvision mirrors key points by another rule of pixels than boxes."""
        corners = (points.float() + margin).repeat(1, 2)
        boxes = tv_tensors.BoundingBoxes(corners, format="XYXY", canvas_size=size, clamping_mode=None)
        return moved(boxes)[:, :2]

    planes = nnf.pad(example.image.float()[None], (margin,) * 4, mode="replicate")[0]
    boxes, landmarks, masks = example.boxes, example.landmarks, example.masks
    if masks is not None:
        planes = torch.cat([planes, nnf.pad(masks.float(), (margin,) * 4)])
    planes = moved(tv_tensors.Image(planes))
    C = len(example.image)
    if masks is not None:
        masks = planes[C:] >= 0.5
    if boxes is not None:
        x0, y0, x1, y1 = boxes.T
        corners = moved_points(torch.stack([x0, y0, x1, y0, x1, y1, x0, y1], dim=1).reshape(-1, 2)).reshape(-1, 4, 2)
        ends = torch.cat([corners.amin(dim=1), corners.amax(dim=1)], dim=1)
        boxes = ends.clamp(min=0).minimum(torch.tensor([W, H, W, H]))
    if landmarks is not None:
        landmarks = moved_points(landmarks)
    return Marked(repaint(planes[None, :C], draws, colors)[0], boxes, landmarks, masks)


def _check(example: Marked, H: int, W: int) -> None:
    for name, last in (("boxes", 4), ("landmarks", 2)):
        value = getattr(example, name)
        if value is not None and (value.ndim != 2 or value.shape[1] != last):
            raise ShapeError(f"{name} of shape {tuple(value.shape)}", "augmentation", f"Give {name} as (n, {last}).")
    if example.masks is not None and example.masks.shape[-2:] != (H, W):
        raise ShapeError(
            f"masks of shape {tuple(example.masks.shape)} for a picture of {H} by {W}",
            "augmentation",
            f"Give masks as (n, {H}, {W}).",
        )


def _margin(draws: Draws, H: int, W: int) -> int:
    """Pixels around the picture that the changed one may show, so that its border can be repeated there."""
    ends = torch.tensor([-1.0, 1.0])
    corners = torch.cartesian_prod(ends * W, ends * H) * (1 + 2 * float(draws.warp))
    linear = matrices(draws)[0]
    offset = linear[:, 2] * torch.tensor([W, H])
    reach = (corners @ linear[:, :2].T + offset).abs().amax(dim=0) - torch.tensor([W, H])
    return max(1, math.ceil(float(reach.max()) / 2) + 1)


def _field(draws: Draws, H: int, W: int, margin: int) -> Tensor:
    """(1, H + 2 margin, W + 2 margin, 2) displacements in units of the grown picture; repeated in the margin."""
    fine = displacements(draws, max(H, W)).permute(0, 3, 1, 2)
    if H != W:
        fine = nnf.interpolate(fine, size=(H, W), mode="bilinear", align_corners=False)
    share = torch.tensor([W / (W + 2 * margin), H / (H + 2 * margin)])
    return nnf.pad(fine, (margin,) * 4, mode="replicate").permute(0, 2, 3, 1) * share


def _warped(boxes: Tensor, field: Tensor, size: tuple[int, int]) -> Tensor:
    """Where a warp takes points (boxes of no size). torchvision's own answer is rounded to whole pixels.

    The picture at q shows what was at q + d(q): the point p goes to the q with q = p − d(q).
    """
    scale = torch.tensor([size[1], size[0]]) / 2
    points = boxes[:, :2] / scale - 1
    found = points
    for _ in range(INVERSE_STEPS):
        found = points - sampled(field, found[None, None])[0, 0]
    return ((found + 1) * scale).repeat(1, 2)
