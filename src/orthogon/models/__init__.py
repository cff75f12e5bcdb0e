"""Networks written from their papers, one family a file. The table below names their standard forms for `describe`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from orthogon.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, nn

# name -> (module:class, its arguments, shape of one input without the batch axis)
NETWORKS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = {
    "mlp": ("orthogon.models.mlp:MLP", (64, (256, 256), 10), {}, (64,)),
    "convnet": ("orthogon.models.convnet:ConvNet", (3, 10), {"mean": (127.5,) * 3, "std": (73.6,) * 3}, (3, 64, 64)),
    "date_translator": ("orthogon.models.attention_seq2seq:DateTranslator", (37, 11), {}, (30,)),
    "attention_seq2seq": (
        "orthogon.models.attention_seq2seq:AttentionSeq2Seq",
        (37, 13),
        {"output_length": 10},
        (30,),
    ),
}


def build(name: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The standard form of a network, untrained, and one input for it.

    Raises:
        UsageError: no network has this name.
    """
    if name not in NETWORKS:
        raise UsageError(f'"{name}" is neither a run nor a network', "", did_you_mean(name, NETWORKS))
    import torch

    home, arguments, named, shape = NETWORKS[name]
    module, _, cls = home.partition(":")
    network = getattr(import_module(module), cls)(*arguments, **named).eval()
    tokens = name in ("date_translator", "attention_seq2seq")
    return network, (torch.ones((1, *shape), dtype=torch.int64 if tokens else torch.float32),)
