"""Initial weights whose scale keeps signals at the same size from layer to layer.

n_in = inputs of one unit (fan-in, n[l−1]), n_out = units it feeds (fan-out, n[l]).

    he        Var(w) = 2 / n_in             for ReLU       He et al. 2015, arXiv:1502.01852, eq. 10
    xavier    Var(w) = 1 / n_in             for tanh       LeCun et al. 1998, Efficient BackProp, eq. 16
    glorot    Var(w) = 2 / (n_in + n_out)   for tanh       Glorot and Bengio 2010, eq. 12
    pytorch   Var(w) = 1 / (3 n_in)         torch.nn's default, kept untouched
    zeros, or a number: that standard deviation
"""

from __future__ import annotations

import math

import torch
from torch import nn

from orthogon.errors import ConfigError, did_you_mean

VARIANCES = {
    "he": lambda n_in, n_out: 2 / n_in,
    "xavier": lambda n_in, n_out: 1 / n_in,
    "glorot": lambda n_in, n_out: 2 / (n_in + n_out),
}
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def initialise_(network: nn.Module, scheme: str | float) -> None:
    """Draw the weights of every Linear and Conv layer from N(0, Var(w)) in place, and set their biases to 0.

    Args:
        network: recurrent, embedding and norm layers inside it are left as they are.
        scheme: "he", "xavier", "glorot", "pytorch", "zeros", or a standard deviation.
    Raises:
        ConfigError: no such scheme.
    """
    if scheme == "pytorch":
        return
    if isinstance(scheme, str) and scheme not in VARIANCES and scheme != "zeros":
        known = [*VARIANCES, "pytorch", "zeros"]
        raise ConfigError(f'"{scheme}" is not an initialisation', "init", did_you_mean(scheme, known))
    with torch.no_grad():
        for layer in network.modules():
            if not isinstance(layer, LAYERS):
                continue
            if scheme == "zeros":
                std = 0.0
            elif isinstance(scheme, str):
                n_in, n_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
                std = math.sqrt(VARIANCES[scheme](n_in, n_out))
            else:
                std = scheme
            layer.weight.normal_(0.0, std)
            if layer.bias is not None:
                layer.bias.zero_()
