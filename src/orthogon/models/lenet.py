"""LeNet-5, the ConvNet of 1998 that read cheques, and the form in which it is taught today.

Paper: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-Based Learning Applied to Document Recognition", section II.B,
figure 2, table I (which maps of C3 see which maps of S2), appendix A (squashing, initial weights).
Parameters: 60,000 trained in the original (156 C1, 12 S2, 1,516 C3, 32 S4, 48,120 C5, 10,164 F6; the output layer's
codes are fixed), 61,706 in the modern form. Weights accepted: their own.

    1 x 32 x 32 -> C1 6 @ 28 x 28 -> S2 6 @ 14 x 14 -> C3 16 @ 10 x 10 -> S4 16 @ 5 x 5 -> C5 120 -> F6 84 -> K

Differs: pictures larger than 32 x 32 leave C5 more than one pixel a map; these are averaged. The codes are drawn after
the idea of figure 3, not copied from it. The outputs are minus the distances, so that they are logits: the cost of
equation 9 with j -> infinity is then cross-entropy.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orthogon.models.image_network import ImageNetwork
from orthogon.nn.init import initialise_

# Table I: the maps of S2 that each of the 16 maps of C3 sees.
C3_INPUTS = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (4, 5, 0), (5, 0, 1)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 0), (4, 5, 0, 1), (5, 0, 1, 2)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)

# Codes of the ten digits, 7 x 12 pixels: alike digits get alike codes. One string a row of pixels, the digits abreast.
DIGITS = (
    "  ###      ##    #####   #####      ##  #######   ####  #######  #####   ##### ",
    " ## ##    ###   ##   ## ##   ##    ###  ##       ##          ## ##   ## ##   ##",
    "##   ##  ####   ##   ##      ##   ####  ##      ##           ## ##   ## ##   ##",
    "##   ##    ##        ##      ##  ## ##  ##      ##          ##  ##   ## ##   ##",
    "##   ##    ##        ##      ## ##  ##  ######  ######      ##  ##   ## ##   ##",
    "##   ##    ##       ##    ####  ##  ##       ## ##   ##    ##    #####  ##   ##",
    "##   ##    ##      ##        ## #######      ## ##   ##    ##   ##   ##  ######",
    "##   ##    ##     ##         ##     ##       ## ##   ##   ##    ##   ##      ##",
    "##   ##    ##    ##          ##     ##       ## ##   ##   ##    ##   ##      ##",
    "##   ##    ##   ##           ##     ##       ## ##   ##  ##     ##   ##      ##",
    " ## ##     ##   ##      ##   ##     ##  ##   ## ##   ##  ##     ##   ##     ## ",
    "  ###    ###### #######  #####      ##   #####   #####   ##      #####   ####  ",
)


class SparseConv2d(nn.Module):
    """C3: a valid 5 x 5 convolution whose output maps each see only some of the input maps.

    Kernels that are not connected do not exist: there is nothing to mask, to train or to count.

    Args:
        inputs: for each output map, the input maps it sees.
    """

    index: Tensor

    def __init__(self, inputs: tuple[tuple[int, ...], ...], in_channels: int, kernel_size: int = 5) -> None:
        super().__init__()
        num_kernels = sum(map(len, inputs))
        index = torch.full((len(inputs), in_channels), num_kernels)  # the one past the end is the zero kernel
        for kernel, (out, seen) in enumerate((out, seen) for out, maps in enumerate(inputs) for seen in maps):
            index[out, seen] = kernel
        self.register_buffer("index", index, persistent=False)
        # appendix A: within ±2.4 / fan-in, which depends on how many maps the output map sees
        limits = torch.tensor([2.4 / (len(maps) * kernel_size**2) for maps in inputs for _ in maps])
        draw = torch.empty(num_kernels, kernel_size, kernel_size).uniform_(-1, 1)
        self.weight = nn.Parameter(limits[:, None, None] * draw)
        self.bias = nn.Parameter(torch.zeros(len(inputs)))

    def dense_weight(self) -> Tensor:
        """(C_out, C_in, f, f), zeros where nothing is connected."""
        return F.pad(self.weight, (0, 0, 0, 0, 0, 1))[self.index]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, H - f + 1, W - f + 1)."""
        return F.conv2d(x, self.dense_weight(), self.bias)

    def multiply_adds(self, inputs: tuple[Tensor, ...], outputs: Tensor) -> int:
        """Of one picture: each kernel that exists, at each position."""
        return self.weight.numel() * outputs.shape[2] * outputs.shape[3]


class TrainablePool2d(nn.Module):
    """S2, S4: the sum of 2 x 2 pixels times a coefficient plus a bias, one of each a map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean = nn.AvgPool2d(2)
        self.weight = nn.Parameter(torch.empty(channels, 1, 1).uniform_(-2.4 / 4, 2.4 / 4))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H // 2, W // 2)."""
        return self.weight * (4 * self.mean(x)) + self.bias


class Squash(nn.Module):
    """f(a) = A tanh(S a) with A = 1.7159 and S = 2/3, so that f(1) = 1 and f(-1) = -1 (appendix A)."""

    def forward(self, a: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(2 / 3 * a)


class CodeDistance(nn.Module):
    """The output layer: minus the squared distance to a fixed code of ±1 for each class (equation 7).

    Args:
        num_classes: ten classes get the pictures of the digits as codes, any other number gets random codes.
        size: length of a code.
    """

    codes: Tensor

    def __init__(self, num_classes: int, size: int = 84) -> None:
        super().__init__()
        if num_classes == 10 and size == 84:
            pixels = [[row[8 * k + column] == "#" for row in DIGITS for column in range(7)] for k in range(10)]
            codes = 2.0 * torch.tensor(pixels, dtype=torch.float32) - 1
        else:
            draw = torch.Generator().manual_seed(1998)
            codes = 2.0 * torch.randint(2, (num_classes, size), generator=draw, device="cpu") - 1
        self.register_buffer("codes", codes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n) -> (B, K)."""
        return -(x[:, None] - self.codes).square().sum(2)

    def multiply_adds(self, inputs: tuple[Tensor, ...], outputs: Tensor) -> int:
        """Of one picture: one square for each entry of each code."""
        return self.codes.numel()


class LeNet5(ImageNetwork):
    """Convolutions and pools C1 to C5, then F6 and the outputs. Build it by `lenet5` or `lenet5_modern`."""

    def __init__(self, num_classes: int, in_channels: int, features: nn.Sequential, head: nn.Sequential) -> None:
        super().__init__(num_classes, in_channels, min_size=32)
        self.features, self.head = features, head

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, K)."""
        self.check(images)
        return self.head(self.features(images).mean(dim=(2, 3)))  # C5: (B, 120, 1, 1) at 32 x 32


def lenet5(num_classes: int = 10, in_channels: int = 1) -> LeNet5:
    """The original: sparse C3, trainable pools, squashing after every layer up to F6, distances to codes.

    The paper's pictures are −0.1 where there is background and 1.175 where there is ink, so that their mean is about 0.
    Training minimises the cross-entropy of the outputs.
    """
    features = nn.Sequential(
        nn.Conv2d(in_channels, 6, 5),
        Squash(),
        TrainablePool2d(6),
        Squash(),
        SparseConv2d(C3_INPUTS, 6),
        Squash(),
        TrainablePool2d(16),
        Squash(),
        nn.Conv2d(16, 120, 5),
        Squash(),
    )
    network = LeNet5(
        num_classes, in_channels, features, nn.Sequential(nn.Linear(120, 84), Squash(), CodeDistance(num_classes))
    )
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):  # appendix A: uniform within ±2.4 / fan-in
            limit = 2.4 / math.prod(layer.weight.shape[1:])
            nn.init.uniform_(layer.weight, -limit, limit)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


def lenet5_modern(num_classes: int = 10, in_channels: int = 1) -> LeNet5:
    """Dense C3, ReLU, max pooling, and a dense output layer for softmax; He initialisation."""
    features = nn.Sequential(
        nn.Conv2d(in_channels, 6, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 120, 5),
        nn.ReLU(),
    )
    head = nn.Sequential(nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, num_classes))
    network = LeNet5(num_classes, in_channels, features, head)
    initialise_(network, "he")
    return network
