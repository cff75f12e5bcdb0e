"""A small residual ConvNet for pictures from 8 to some 128 pixels a side, quick on a CPU.

Paper: He et al. 2015, "Deep Residual Learning", arXiv:1512.03385: the basic block of fig. 2 and the plan of section
4.2 (n blocks a stage, each stage halves the map and doubles the channels, global average pooling, one dense layer).
Differs: projection shortcuts (option B) with average pooling before the 1x1 convolution, so that no pixel is skipped;
the stem's stride is free, so that large pictures reach a small map at once.
Parameters: see `tests/models/test_convnet.py`, counted by hand. Weights accepted: its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def conv_bn(in_channels: int, out_channels: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution that keeps the side at stride 1, without bias since batch norm has one; then batch norm."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


class ResidualBlock(nn.Module):
    """relu(F(x) + shortcut(x)), F = conv-bn-relu-conv-bn."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv_bn(in_channels, out_channels, stride)
        self.conv2 = conv_bn(out_channels, out_channels)
        self.inner, self.outer = nn.ReLU(), nn.ReLU()  # modules, so that dead units are seen
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity(),
                nn.Conv2d(in_channels, out_channels, 1, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""
        return self.outer(self.conv2(self.inner(self.conv1(x))) + self.shortcut(x))


class ConvNet(nn.Module):
    """Pixels to class logits.

    Args:
        in_channels: 1 (grey) or 3 (red, green, blue).
        num_classes: K.
        width: channels of the first stage; each further stage has twice as many.
        depth: residual blocks in each stage.
        stages: each but the first halves the side.
        stem_stride: stride of the first convolution, 1, 2 or 4.
        dropout: share of pooled features dropped before the dense layer.
        mean, std: of train's pixels, per channel, 0..255; the network normalises its own input, so that whoever runs
            it elsewhere feeds plain pixels.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        width: int = 32,
        depth: int = 1,
        stages: int = 3,
        stem_stride: int = 1,
        dropout: float = 0.0,
        mean: Sequence[float] = (127.5,),
        std: Sequence[float] = (73.6,),
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).reshape(1, -1, 1, 1))
        # 3x3 at stride 1 and 2, 7x7 at stride 4: neighbouring windows overlap, no pixel is skipped.
        self.stem = conv_bn(in_channels, width, stem_stride, kernel=max(3, 2 * stem_stride - 1))
        self.rectifier = nn.ReLU()
        blocks: list[nn.Module] = []
        channels = width
        for stage in range(stages):
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(ResidualBlock(channels, width * 2**stage, stride))
                channels = width * 2**stage
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        # Logits start near 0, so the first loss is log K, what a fair guess costs.
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def features(self, images: Tensor) -> Tensor:
        """What the classes are decided from: (B, C, H, W) pixels 0..255 -> (B, width * 2**(stages - 1))."""
        x = (images - self.mean) / self.std
        x = self.blocks(self.rectifier(self.stem(x)))
        return x.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) float pixels 0..255 -> logits (B, K)."""
        return self.head(self.dropout(self.features(images)))
