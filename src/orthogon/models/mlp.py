"""A multilayer perceptron: Linear → (batch norm) → activation → (dropout), repeated, then Linear.

Parameters: Σ (n_in + 1)·n_out; with batch norm a hidden layer has n_in·n_out + 2·n_out, since β replaces b.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from orthogon.nn.init import initialise_

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "identity": nn.Identity,
}


class MLP(nn.Sequential):
    """(B, num_inputs) → (B, num_outputs) of raw scores.

    Args:
        num_inputs: features of one example, n_x.
        hidden: width of each hidden layer; empty makes a linear model.
        num_outputs: raw scores of one example.
        activation: a key of ACTIVATIONS, after each hidden layer.
        dropout: probability of dropping a hidden unit (1 − keep_prob).
        batch_norm: normalise before the activation; the layer's own bias, which the mean subtraction would cancel,
            is then left out.
        init: see `orthogon.nn.init.initialise_`; biases start at 0.
    """

    def __init__(
        self,
        num_inputs: int,
        hidden: Sequence[int],
        num_outputs: int,
        activation: str = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
        init: str = "he",
    ) -> None:
        super().__init__()
        widths = [num_inputs, *hidden]
        for i, (n_in, n_out) in enumerate(zip(widths, hidden, strict=False), start=1):
            self.add_module(f"linear{i}", nn.Linear(n_in, n_out, bias=not batch_norm))
            if batch_norm:
                self.add_module(f"norm{i}", nn.BatchNorm1d(n_out))
            self.add_module(f"{activation}{i}", ACTIVATIONS[activation]())
            if dropout:
                self.add_module(f"dropout{i}", nn.Dropout(dropout))
        self.output = nn.Linear(widths[-1], num_outputs)
        initialise_(self, init)

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs.flatten(1))
