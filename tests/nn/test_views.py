"""Ten crops and mirror images: where they lie, and that what is said of them is averaged."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as theirs

from orthogon.nn.views import Views, five_places, ten_crops


@pytest.mark.system("arch.multicrop")
def test_ten_crops_of_a_picture_with_labelled_corners() -> None:
    """A picture of 8 x 10 whose corners are 1 2 / 3 4 and whose middle is 5; crops of 6 x 6."""
    picture = torch.zeros(1, 1, 8, 10)
    picture[0, 0, [0, 0, 7, 7], [0, 9, 0, 9]] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    picture[0, 0, 3:5, 4:6] = 5.0
    crops = ten_crops(picture, 6, 6)[:, 0, 0]  # (10, 6, 6)
    assert crops.shape == (10, 6, 6)

    def corners(crop: Tensor) -> list[float]:
        return crop[[0, 0, -1, -1], [0, -1, 0, -1]].tolist()

    assert [corners(crop) for crop in crops] == [
        [1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 4], [0, 0, 0, 0],
        [2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 4, 0], [0, 0, 0, 3], [0, 0, 0, 0],
    ]  # fmt: skip
    for middle in (crops[4], crops[9]):  # one row is lost at the top, two columns at the left
        assert torch.nonzero(middle == 5).tolist() == [[2, 2], [2, 3], [3, 2], [3, 3]]


@pytest.mark.parametrize(("side", "crop"), [((256, 256), 224), ((64, 64), 56), ((9, 13), 5), ((7, 7), 7)])
def test_crops_are_torchvisions(side: tuple[int, int], crop: int) -> None:
    images = torch.rand(3, 2, *side, generator=torch.Generator().manual_seed(0))
    expected = torch.stack(theirs.ten_crop(images, [crop, crop]))
    assert torch.equal(ten_crops(images, crop, crop), expected)
    assert five_places(*side, crop, crop)[0] == (0, 0)


class Halves(nn.Module):
    """Logits that tell what was seen: the mean of the left half, of the right half, and a constant."""

    def forward(self, images: Tensor) -> Tensor:
        half = images.shape[3] // 2
        left, right = images[..., :half].mean((1, 2, 3)), images[..., half:].mean((1, 2, 3))
        return torch.stack([left, right, torch.full_like(left, 3.0)], 1)


@pytest.mark.system("arch.multicrop")
@pytest.mark.parametrize("crops", [False, True])
def test_the_answer_is_the_mean_over_the_views(crops: bool) -> None:
    images = 4 * torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    images[..., :8] += 2  # else left and right would look alike
    network = Halves()
    seen = [images, images.flip(3)]
    if crops:
        seen = [theirs.resize(crop, [16, 16], antialias=False) for crop in ten_crops(images, 14, 14)]
    expected = torch.stack([network(view).softmax(1) for view in seen]).mean(0)
    torch.testing.assert_close(Views(network, crops)(images).softmax(1), expected)
    torch.testing.assert_close(expected[:, 0], expected[:, 1])  # mirrors make both halves alike
    assert (network(images).softmax(1)[:, 0] > 1.5 * expected[:, 0]).all()


def test_a_batch_of_one_and_a_picture_of_one_pixel() -> None:
    assert Views(Halves(), crops=True)(torch.rand(1, 1, 2, 2)).shape == (1, 3)
    assert ten_crops(torch.rand(2, 1, 1, 1), 1, 1).shape == (10, 2, 1, 1, 1)


def test_exported_views_equal_pytorch_at_any_batch_size(tmp_path: Path) -> None:
    from orthogon.run.export import _export, largest_difference

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    )
    views = Views(network, crops=True).eval()
    _export(views, (torch.rand(3, 3, 16, 16),), ["images"], tmp_path / "views.onnx")
    inputs = [(torch.rand(size, 3, 16, 16),) for size in (1, 2, 5)]
    assert largest_difference(views, tmp_path / "views.onnx", ["images"], inputs) < 1e-5
