"""Residual branches dropped at random in training.

Source: Huang et al. 2016, "Deep Networks with Stochastic Depth", arXiv:1603.09382, eq. 2 and 5.
"""

from __future__ import annotations

from torch import Tensor, nn

from orthogon.errors import ConfigError


class StochasticDepth(nn.Module):
    """In training, a residual branch is dropped for a share p of the examples and scaled by 1 / (1 - p) for the rest.

    Args:
        p: probability of dropping, at least 0 and below 1.
    Raises:
        ConfigError: p outside its range.
    Differs: the paper drops a branch for the whole mini-batch, and scales in evaluation instead of in training.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ConfigError(f"the probability of dropping a branch is {p}", "StochasticDepth", "Give 0 <= p < 1.")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> the same shape."""
        if not self.training or self.p == 0:
            return x
        kept = x.new_empty((x.shape[0], *[1] * (x.ndim - 1))).bernoulli_(1 - self.p)
        return x * kept.div_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"
