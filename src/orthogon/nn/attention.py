"""Attention: which inputs an output looks at.

Legend: B batch, T inputs, n_s size of the query, n_a size of a key, n_e hidden units of the small scoring net.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def masked_softmax(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax over the last axis that gives exactly 0 where the mask says so.

    Args:
        scores: (..., T).
        mask: bool, broadcastable to scores; True = keep.
    Returns:
        (..., T); rows sum to 1.
    Differs: a row with nothing to keep gives zeros, not NaN.
    """
    if mask is None:
        return scores.softmax(dim=-1)
    # The largest finite number instead of infinity: an empty row stays finite, also in its gradient.
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
    return weights.masked_fill(~mask, 0.0)


class AdditiveAttention(nn.Module):
    """context = Σ_t α_t a_t, α = softmax_t e_t, e_t = v · tanh(W a_t + U s + b) + c.

    Source: Bahdanau, Cho & Bengio 2014, arXiv:1409.0473, section 3.1 and appendix A.1.2; α weighs input t.
    Differs: with biases b and c; `relu` passes e through a ReLU, as the date exercise does.

    Args:
        query_size: n_s, of the decoder's state s.
        key_size: n_a, of each encoder state a_t.
        hidden_size: n_e.
        relu: pass the scores through a ReLU before the softmax.
    """

    def __init__(self, query_size: int, key_size: int, hidden_size: int, relu: bool = False) -> None:
        super().__init__()
        # One dense layer on the concatenation (s, a_t), split so that W a_t + b is computed once for all outputs.
        self.keys = nn.Linear(key_size, hidden_size)
        self.query = nn.Linear(query_size, hidden_size, bias=False)
        self.energy = nn.Linear(hidden_size, 1)
        self.relu = relu
        bound = (6 / (query_size + key_size + hidden_size)) ** 0.5  # Glorot, of the layer before the split
        for part in (self.keys, self.query):
            nn.init.uniform_(part.weight, -bound, bound)
        nn.init.zeros_(self.keys.bias)
        nn.init.xavier_uniform_(self.energy.weight)
        nn.init.zeros_(self.energy.bias)

    def prepare(self, states: Tensor) -> Tensor:
        """W a_t + b of every input: (B, T, n_a) -> (B, T, n_e); once for all outputs."""
        return self.keys(states)

    def forward(
        self, query: Tensor, states: Tensor, prepared: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What one output sees.

        Args:
            query: decoder state before this output (B, n_s).
            states: encoder states (B, T, n_a).
            prepared: `prepare(states)`.
            mask: bool (B, T); True = may be looked at.
        Returns:
            context (B, n_a) and weights (B, T).
        """
        scores = self.energy(torch.tanh(prepared + self.query(query).unsqueeze(1))).squeeze(-1)  # (B, T)
        weights = masked_softmax(torch.relu(scores) if self.relu else scores, mask)
        return torch.bmm(weights.unsqueeze(1), states).squeeze(1), weights
