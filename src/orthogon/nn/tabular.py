"""Blocks for tables: numbers and categories become vectors, and one network holds many members.

Legend: B rows, F number columns, T bins, C category columns, d embedding size, k members.
Sources: Gorishniy et al. 2022, "On Embeddings for Numerical Features in Tabular Deep Learning", arXiv:2203.05556;
Wen et al. 2020, "BatchEnsemble", arXiv:2002.06715; Gorishniy et al. 2024, "TabM", arXiv:2410.24210.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from orthogon.errors import ShapeError


def quantile_edges(values: NDArray[np.floating[Any]], bins: int) -> NDArray[np.float32]:
    """Edges of at most `bins` bins: half of them hold equal shares of the rows, half equal shares of the values.

    Args:
        values: (n,) finite values of one column; may be empty.
        bins: most bins wanted, at least 1.
    Returns:
        (t + 1,) strictly rising edges, 1 <= t <= bins; a constant or empty column gets the single bin [v, v + 1].
    Source: arXiv:2203.05556, section 3.2.1.
    Differs: the paper's edges are quantiles of the rows alone, which leaves a column that is mostly 0 (a capital gain)
        without a bend where it is not 0.
    """
    distinct = np.unique(np.asarray(values, np.float32))
    if len(distinct) < 2:
        v = distinct[0] if len(distinct) else np.float32(0)
        return np.array([v, v + 1], np.float32)
    if len(distinct) > bins + 1:
        half = (bins + 1) // 2
        of_rows = np.quantile(values, np.linspace(0, 1, bins + 1 - half))
        of_values = np.quantile(distinct, np.linspace(0, 1, half + 2)[1:-1])
        distinct = np.unique(np.concatenate([of_rows, of_values]).astype(np.float32))
    return distinct


class PiecewiseLinearEmbedding(nn.Module):
    """Each number becomes a vector that is piecewise linear in it, with bends at the column's quantiles.

    e_t(x) = (x - b_{t-1}) / (b_t - b_{t-1}), held to [0, 1]; the first bin may fall below 0 and the last rise above 1,
    so that the encoding stays injective outside the range of train. Then x_emb = x v + W e(x) + c, W starting at 0:
    the embedding begins linear and bends where the data pays for it.

    Args:
        edges: per column its rising edges (t_f + 1,), t_f may differ.
        size: embedding size d.
    Source: arXiv:2203.05556, eq. 1; the linear path is the authors' later form in arXiv:2410.24210, appendix D.
    """

    slope: Tensor
    offset: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, edges: Sequence[NDArray[np.float32]], size: int) -> None:
        super().__init__()
        num_features, most = len(edges), max(len(e) - 1 for e in edges)
        # e_t = slope x + offset, clamped; columns with fewer bins are padded with slope 0, offset 0
        slope, offset = torch.zeros(num_features, most), torch.zeros(num_features, most)
        low, high = torch.zeros(num_features, most), torch.ones(num_features, most)
        for f, column in enumerate(edges):
            e = torch.as_tensor(column, dtype=torch.float32)
            if not bool((e[1:] > e[:-1]).all()):
                raise ShapeError(f"bin edges of number column {f} do not rise: {e.tolist()}", "", "Merge equal edges.")
            t, width = len(e) - 1, e[1:] - e[:-1]
            slope[f, :t], offset[f, :t] = 1 / width, -e[:-1] / width
            low[f, 0], high[f, t - 1] = -math.inf, math.inf
        for name, value in (("slope", slope), ("offset", offset), ("low", low), ("high", high)):
            self.register_buffer(name, value)
        bound = 1 / math.sqrt(size)
        self.linear = nn.Parameter(torch.empty(num_features, size).uniform_(-bound, bound))
        self.weight = nn.Parameter(torch.zeros(num_features, most, size))
        self.bias = nn.Parameter(torch.empty(num_features, size).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """(B, F) -> (B, F, d)."""
        e = torch.clamp(x[..., None] * self.slope + self.offset, self.low, self.high)  # (B, F, T)
        bends = torch.bmm(e.transpose(0, 1), self.weight).transpose(0, 1)  # per column (B, T) @ (T, d)
        return x[..., None] * self.linear + bends + self.bias

    def multiply_adds(self, inputs: Any = None, outputs: Any = None) -> int:
        """Of one row."""
        return self.slope.numel() + self.weight.numel() + self.linear.numel()


class PeriodicEmbedding(nn.Module):
    """Each number becomes ReLU(W [sin(2 pi c x), cos(2 pi c x)] + b) with learned frequencies c ~ N(0, sigma).

    Args:
        num_features: number columns F.
        size: embedding size d.
        frequencies: sines and cosines a column; sigma: spread of the frequencies at the start.
    Source: arXiv:2203.05556, eq. 3 and section 3.4 ("PLR").
    """

    def __init__(self, num_features: int, size: int, frequencies: int = 24, sigma: float = 0.1) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(
            nn.init.trunc_normal_(torch.empty(num_features, frequencies), 0, sigma, -3 * sigma, 3 * sigma)
        )
        bound = 1 / math.sqrt(2 * frequencies)
        self.weight = nn.Parameter(torch.empty(num_features, 2 * frequencies, size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_features, size).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """(B, F) -> (B, F, d)."""
        angle = 2 * math.pi * self.frequencies * x[..., None]
        waves = torch.cat([torch.cos(angle), torch.sin(angle)], -1)  # (B, F, 2 frequencies)
        return torch.relu(torch.bmm(waves.transpose(0, 1), self.weight).transpose(0, 1) + self.bias)

    def multiply_adds(self, inputs: Any = None, outputs: Any = None) -> int:
        """Of one row."""
        return self.frequencies.numel() + self.weight.numel()


class CategoryEmbedding(nn.Module):
    """Each category column looks up its own vectors; all columns share one table, so one gather serves them.

    Level 0 of every column is kept for levels that train did not show (or showed too rarely). It starts at zero: a
    column that has nothing to say adds nothing.

    Args:
        levels: per column how many levels it has, level 0 included.
        size: embedding size d.
    """

    first_row: Tensor

    def __init__(self, levels: Sequence[int], size: int) -> None:
        super().__init__()
        starts = np.concatenate([[0], np.cumsum(levels)])
        self.register_buffer("first_row", torch.as_tensor(starts[:-1], dtype=torch.int64))
        self.table = nn.Embedding(int(starts[-1]), size)
        bound = 1 / math.sqrt(size)
        nn.init.uniform_(self.table.weight, -bound, bound)
        with torch.no_grad():
            self.table.weight[self.first_row] = 0

    def forward(self, levels: Tensor) -> Tensor:
        """(B, C) int64 -> (B, C, d)."""
        return self.table(levels + self.first_row)


class MemberScale(nn.Module):
    """Multiplies each member's view of the inputs by its own vector: what makes k members differ.

    Args:
        members: k.
        sizes: widths of the blocks of the input that are scaled together (one column's embedding is one block).
        normal: draw scales from N(0, 1) (right when inputs are embeddings) instead of random signs.
    Source: arXiv:2410.24210, section 3.3 (the first adapter of TabM) and appendix D.
    """

    def __init__(self, members: int, sizes: Sequence[int], normal: bool = True) -> None:
        super().__init__()
        blocks = torch.randn(members, len(sizes)) if normal else torch.randint(0, 2, (members, len(sizes))) * 2.0 - 1
        self.scale = nn.Parameter(blocks.repeat_interleave(torch.as_tensor(list(sizes)), dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) -> (k, B, D)."""
        return x * self.scale[:, None]


class MemberLinear(nn.Module):
    """A linear layer that k members share, each with its own output scale and bias.

    y_i = (x_i W) * s_i + b_i for member i. The members cost k times the arithmetic of one but hardly more parameters.
    Differs: BatchEnsemble also scales each layer's input (r_i); after a ReLU, the scale before it and the weights
    after it can say the same, so only the first layer keeps an input scale (`MemberScale`).
    Source: arXiv:2002.06715, eq. 5; arXiv:2410.24210, section 3.3.
    """

    def __init__(self, members: int, in_features: int, out_features: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.empty(in_features, out_features).uniform_(-bound, bound))
        self.scale = nn.Parameter(torch.ones(members, out_features))
        self.bias = nn.Parameter(torch.empty(out_features).uniform_(-bound, bound).repeat(members, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(k, B, in) -> (k, B, out)."""
        return torch.addcmul(self.bias[:, None], x @ self.weight, self.scale[:, None])

    def multiply_adds(self, inputs: Any = None, outputs: Any = None) -> int:
        """Of one row, over all members."""
        return len(self.scale) * (self.weight.numel() + self.scale.shape[1])


class MemberHeads(nn.Module):
    """The last layer: each member has weights of its own. (k, B, in) -> (k, B, out)."""

    def __init__(self, members: int, in_features: int, out_features: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.empty(members, in_features, out_features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, out_features).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)

    def multiply_adds(self, inputs: Any = None, outputs: Any = None) -> int:
        """Of one row, over all members."""
        return self.weight.numel()
