"""Names and shapes: the right ones pass, the first wrong layer is named."""

from __future__ import annotations

import numpy as np
import pytest

from orthogon.models.mlp import MLP
from orthogon.scratch.notation import check_parameters, count_parameters, parameter_shapes

N = (4, 5, 3, 1)


def good() -> dict[str, np.ndarray]:
    return {name: np.zeros(shape) for name, shape in parameter_shapes(N).items()}


@pytest.mark.system("net.notation")
def test_a_correct_dictionary_passes() -> None:
    assert parameter_shapes((3, 2)) == {"W1": (2, 3), "b1": (2, 1)}
    check_parameters(good(), N)


@pytest.mark.system("net.notation")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"W2": (5, 3)}, r"layer 2: W2 has shape \(5, 3\), expected \(3, 5\)"),
        ({"b1": (5, 7)}, r"layer 1: b1 has shape \(5, 7\), expected \(5, 1\)"),  # one b for all m = 7 examples
        ({"b2": (3,)}, r"layer 2: b2 has shape \(3,\), expected \(3, 1\)"),
        ({"W3": (3, 1), "W2": (3, 4)}, "layer 2: W2"),  # the first of two
        ({"W4": (1, 1)}, "W4 belongs to no layer of 3"),
    ],
)
def test_the_first_wrong_layer_is_named(changes: dict[str, tuple[int, ...]], message: str) -> None:
    parameters = good() | {name: np.zeros(shape) for name, shape in changes.items()}
    with pytest.raises(ValueError, match=message):
        check_parameters(parameters, N)


def test_a_missing_one_is_named() -> None:
    parameters = good()
    del parameters["b3"]
    with pytest.raises(ValueError, match=r"layer 3: b3 is missing, expected shape \(1, 1\)"):
        check_parameters(parameters, N)


@pytest.mark.parametrize("n", [(4, 1), (2, 5, 2, 1), (64, 32, 10)])
def test_counts_and_shapes_are_those_of_the_products_network(n: tuple[int, ...]) -> None:
    network = MLP(n[0], list(n[1:-1]), n[-1])
    assert count_parameters(n) == sum(p.numel() for p in network.parameters())
    assert count_parameters(n) == sum(rows * columns for rows, columns in parameter_shapes(n).values())
    weights = [tuple(p.shape) for p in network.parameters() if p.ndim == 2]
    assert weights == [shape for name, shape in parameter_shapes(n).items() if name.startswith("W")]
