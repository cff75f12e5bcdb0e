"""What a network is made of: a table of its layers with shapes, parameters and multiply-adds.

Multiply-adds count one per product that is added up, for one example; biases, norms and activations are not counted.
Both conventions for counting layers are given: `num_layers` counts what has weights of its own, with a pooling layer
as part of the convolution before it; `num_layers_with_pooling` counts each pooling layer as one more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn

from orthogon.shown import Shown

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
POOLINGS = tuple(
    getattr(nn, f"{kind}Pool{d}d") for kind in ("Max", "Avg", "AdaptiveMax", "AdaptiveAvg") for d in (1, 2, 3)
)
WEIGHTED = (nn.Linear, *CONVOLUTIONS, *TRANSPOSED, nn.Embedding, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)
WHOLE = (nn.MultiheadAttention,)  # has children, but is counted as one layer


@dataclass(frozen=True)
class Layer:
    """One row; `shape` is the output's without the batch axis, `multiply_adds` are those of one example.

    `used` is False for what answers do without, such as side heads, which only training runs.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    share: float
    multiply_adds: int
    weighted: bool
    used: bool = True


@dataclass(frozen=True)
class Description(Shown):
    """A network's layers in the order they run, and the totals.

    `parameters` counts each tensor once, also where two layers share it; `trainable` leaves out frozen ones. Layers
    that answers do without come last and are in neither count of layers.
    """

    name: str
    layers: tuple[Layer, ...]
    parameters: int
    trainable: int
    multiply_adds: int
    num_layers: int
    num_layers_with_pooling: int

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON-able values."""
        return asdict(self)

    def __rich__(self) -> Table:
        totals = f"{self.parameters:,} parameters"
        if self.trainable != self.parameters:
            totals += f" ({self.trainable:,} trainable)"
        layers = f"{self.num_layers} layers with weights"
        if self.num_layers_with_pooling != self.num_layers:
            layers += f" ({self.num_layers_with_pooling} counting pooling)"
        table = Table(
            title=self.name,
            title_justify="left",
            caption=f"{totals}, {self.multiply_adds:,} multiply-adds an example, {layers}",
            caption_justify="left",
            box=None,
            pad_edge=False,
        )
        table.add_column("layer")
        table.add_column("type")
        for heading in ("output", "parameters", "share", "multiply-adds"):
            table.add_column(heading, justify="right")
        for layer in self.layers:
            table.add_row(
                layer.name,
                layer.kind,
                " × ".join(map(str, layer.shape)) or ("1" if layer.used else "not used"),
                f"{layer.parameters:,}",
                f"{layer.share:.1%}",
                f"{layer.multiply_adds:,}",
            )
        return table


def describe(network: nn.Module, inputs: Tensor | Sequence[Any], name: str = "") -> Description:
    """Run the network once, in eval mode and without gradient, and count what each layer holds and does.

    A layer that is used several times has one row; its multiply-adds are those of all its uses. Parameters that
    belong to no listed layer (a learned token, say) get a row of their module. A layer of our own may offer
    `multiply_adds(inputs, outputs)`, those of one example; else it counts none.

    Args:
        network: left as it was, mode included.
        inputs: the positional inputs, with a leading batch axis.
        name: title of the table; the class's name if empty.
    """
    arguments = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    batch = next(t for t in arguments if isinstance(t, Tensor)).shape[0]
    names = {module: key for key, module in network.named_modules()}
    seen: dict[nn.Module, tuple[tuple[int, ...], int]] = {}

    def look(module: nn.Module, given: tuple[Any, ...], outputs: Any) -> None:
        first = _first_tensor(outputs)
        shape = () if first is None else _without_batch(tuple(first.shape), batch)
        seen[module] = (shape, seen.get(module, ((), 0))[1] + _multiply_adds(module, given, outputs, batch))

    inside = {
        part for module in network.modules() if _is_layer(module) for part in module.modules() if part is not module
    }
    rows = [
        module
        for module in network.modules()
        if module not in inside and (_is_layer(module) or next(module.parameters(recurse=False), None) is not None)
    ]
    was_training = {module: module.training for module in network.modules()}
    hooks = [module.register_forward_hook(look) for module in rows]
    try:
        network.eval()
        with torch.no_grad():
            network(*arguments)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in was_training.items():
            module.training = training

    total = sum(p.numel() for p in network.parameters())
    counted: set[nn.Parameter] = set()
    layers = []
    for module in [*seen, *(module for module in rows if module not in seen)]:
        own = list(module.parameters(recurse=_is_layer(module)))
        parameters = sum(p.numel() for p in own if p not in counted)
        counted.update(own)
        shape, multiply_adds = seen.get(module, ((), 0))
        layers.append(
            Layer(
                name=names[module] or type(module).__name__,
                kind=type(module).__name__,
                shape=shape,
                parameters=parameters,
                share=parameters / total if total else 0.0,
                multiply_adds=round(multiply_adds / batch),
                weighted=_is_weighted(module),
                used=module in seen,
            )
        )
    num_layers = sum(layer.weighted and layer.used for layer in layers)
    num_poolings = sum(isinstance(module, POOLINGS) for module in seen)
    return Description(
        name=name or type(network).__name__,
        layers=tuple(layers),
        parameters=total,
        trainable=sum(p.numel() for p in network.parameters() if p.requires_grad),
        multiply_adds=sum(layer.multiply_adds for layer in layers),
        num_layers=num_layers,
        num_layers_with_pooling=num_layers + num_poolings,
    )


def _without_batch(shape: tuple[int, ...], batch: int) -> tuple[int, ...]:
    """The batch axis is the first, or the second after time or ensemble members."""
    if len(shape) > 1 and shape[0] != batch and shape[1] == batch:
        return (shape[0], *shape[2:])
    return shape[1:]


def _is_layer(module: nn.Module) -> bool:
    """A leaf, or one that counts as one: it says its own multiply-adds, or is known as a whole."""
    return isinstance(module, WHOLE) or hasattr(module, "multiply_adds") or next(module.children(), None) is None


def _is_weighted(module: nn.Module) -> bool:
    if isinstance(module, WEIGHTED):
        return True
    # a leaf of our own with a matrix; norm layers and single vectors are not layers by either convention
    return _is_layer(module) and any(p.ndim >= 2 for p in module.parameters())


def _multiply_adds(module: nn.Module, inputs: tuple[Any, ...], outputs: Any, batch: int) -> int:
    """Products that are added up, in the whole batch."""
    x, y = _first_tensor(inputs), _first_tensor(outputs)
    if x is None or y is None:
        return 0
    custom = getattr(module, "multiply_adds", None)
    if custom is not None:
        return int(custom(inputs, outputs)) * batch
    if isinstance(module, nn.Linear):
        return y.numel() * module.in_features
    if isinstance(module, CONVOLUTIONS):
        return y.numel() * module.weight[0].numel()  # each output sums over (C_in / groups) · kernel
    if isinstance(module, TRANSPOSED):
        return x.numel() * module.weight[0].numel()  # each input is spread over (C_out / groups) · kernel
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        # gates · (n_in + n_h) · n_h per time step, that is the weight matrices' entries
        entries = sum(p.numel() for name, p in module.named_parameters() if name.startswith("weight"))
        steps = x.numel() // module.input_size
        return steps * entries
    if isinstance(module, nn.MultiheadAttention):
        return _attention_multiply_adds(module, inputs)
    return 0


def _attention_multiply_adds(module: nn.MultiheadAttention, inputs: tuple[Any, ...]) -> int:
    query, key = inputs[0], inputs[1] if len(inputs) > 1 else inputs[0]
    time = 1 if module.batch_first else 0
    T_q, T_k, B, D = query.shape[time], key.shape[time], query.shape[1 - time], module.embed_dim
    projections = T_q * D * D * 2 + T_k * D * ((module.kdim or D) + (module.vdim or D))  # q, output; k, v
    return int(B * (projections + 2 * T_q * T_k * D))  # scores and mixing


def _first_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, nn.utils.rnn.PackedSequence):
        return value.data
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return next((t for t in map(_first_tensor, value) if t is not None), None)
    return None
