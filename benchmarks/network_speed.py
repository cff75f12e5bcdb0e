"""Are our networks as fast as torchvision's, and does their training step need no more memory?

    python benchmarks/network_speed.py                        one network a family, about five minutes on two cores
    python benchmarks/network_speed.py --networks resnet50 --size 224 --batch 1 --pairs 20
    python benchmarks/network_speed.py --counts               no stopwatch: operations and bytes alone

Both hold the same weights and see the same pictures. Forward: eval mode under `inference_mode`. Step: gradients to
zero, forward, cross-entropy, backward, SGD with momentum. Ours and theirs take turns within a pair, the order changes
from pair to pair, and each turn repeats until it takes TURN seconds. Printed: the median over the pairs of ours /
theirs, with a 95 % interval (bootstrap of the pairs). Aim: <= 1.02.

Operations and bytes are counted on the meta device, where nothing is computed, so they are exact on any machine:
operators called in a forward and in a training step without its update; bytes that autograd saves for the backward
pass; the most bytes that are alive at once in each of the two, weights and gradients among them; bytes that are claimed
in all, which layers that work in place keep low. Aim: none above torchvision's. With `--compile` also: operators in the
graphs that torch.compile hands to its code generator, which the compiled time follows from.
"""

from __future__ import annotations

import argparse
import operator
import os
import platform
import subprocess
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from functorch.compile import make_boxed_func
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd
from torch.utils._python_dispatch import TorchDispatchMode

from orthogon.models import builder

TURN = 0.05  # seconds
CLASSES = 100
SMALL_VIT = {"patch_size": 8, "num_layers": 6, "num_heads": 3, "hidden_dim": 192, "mlp_dim": 768}

# ours -> torchvision's name and what its builder needs to make the same network
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "alexnet_owt": ("alexnet", {}),
    **{f"vgg{layers}{norm}": (f"vgg{layers}{norm}", {}) for layers in (11, 13, 16, 19) for norm in ("", "_bn")},
    "googlenet_bn": ("googlenet", {"aux_logits": True, "init_weights": False}),
    "squeezenet1_0": ("squeezenet1_0", {}),
    "squeezenet1_1": ("squeezenet1_1", {}),
    "mobilenet_v2": ("mobilenet_v2", {}),
    "mobilenet_v3_large": ("mobilenet_v3_large", {}),
    "mobilenet_v3_small": ("mobilenet_v3_small", {}),
    **{f"resnet{layers}": (f"resnet{layers}", {}) for layers in (18, 34, 50, 101, 152)},
    **{f"efficientnet_b{size}": (f"efficientnet_b{size}", {}) for size in (0, 1, 2)},
    "convnext_tiny": ("convnext_tiny", {}),
    "vit_b_16": ("vit_b_16", {}),
    "vit_small": ("VisionTransformer", SMALL_VIT),
}
FAMILIES = (
    "alexnet_owt",
    "vgg11",
    "googlenet_bn",
    "squeezenet1_1",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "resnet18",
    "resnet50",
    "efficientnet_b0",
    "convnext_tiny",
    "vit_small",
)


def both(name: str, size: int) -> tuple[nn.Module, nn.Module]:
    """Ours and torchvision's, with the same weights; `size` is the side in pixels, which only some must know."""
    theirs_name, named = PEERS[name]
    side = {"image_size": size} if name.startswith("vit") else {}
    ours = builder(name)(num_classes=CLASSES, **side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # GoogLeNet's on its slow initialisation
        home = torchvision.models.vision_transformer if theirs_name == "VisionTransformer" else torchvision.models
        theirs = getattr(home, theirs_name)(num_classes=CLASSES, **side, **named)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def loss_of(outputs: Tensor | tuple[Tensor, ...], targets: Tensor) -> Tensor:
    """Cross-entropy, summed over the heads where a network has several."""
    heads = [outputs] if isinstance(outputs, Tensor) else outputs
    return torch.stack([F.cross_entropy(logits, targets) for logits in heads]).sum()


class Counting(TorchDispatchMode):
    """Counts the operators that run under it, and follows the bytes of what is held and of what they make."""

    def __init__(self, held: Iterable[Tensor]) -> None:
        super().__init__()
        self.operators = 0
        self.alive = self.peak = self.claimed = 0  # bytes
        self._known: set[int] = set()
        for tensor in held:
            self.watch(tensor)
        self.claimed = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outputs = func(*args, **(kwargs or {}))
        self.operators += 1
        for output in outputs if isinstance(outputs, tuple | list) else [outputs]:
            if isinstance(output, Tensor):
                self.watch(output)
        return outputs

    def watch(self, tensor: Tensor) -> None:
        """Count a tensor's storage until it is freed, once however many tensors view it."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.alive += size
        self.claimed += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.alive -= size


class Counts(NamedTuple):
    forward: int  # operators of a forward in eval mode
    step: int  # operators of forward and backward in training mode
    saved: int  # bytes kept for the backward pass, weights among them
    forward_peak: int  # most bytes alive at once
    step_peak: int
    forward_claimed: int  # bytes of all that is made, freed or not
    step_claimed: int


def counts(network: nn.Module, images: Tensor) -> Counts:
    """What a network on the meta device does with images there; nothing is computed."""
    targets = torch.zeros(len(images), dtype=torch.int64, device=images.device)
    held = (*network.parameters(), *network.buffers(), images, targets)
    with Counting(held) as evaluation, torch.no_grad():  # inference mode would hide what composite operators call
        network.eval()(images)
    network.train().zero_grad()
    saved: dict[int, torch.UntypedStorage] = {}  # holds them, so that no address is given twice

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = loss_of(network(images), targets)
    size = sum(storage.nbytes() for storage in saved.values())
    saved.clear()
    del loss
    with Counting(held) as training:
        loss_of(network(images), targets).backward()
    network.zero_grad()
    return Counts(
        evaluation.operators,
        training.operators,
        size,
        evaluation.peak,
        training.peak,
        evaluation.claimed,
        training.claimed,
    )


def counts_of(name: str, batch: int, size: int) -> tuple[Counts, Counts]:
    """Of ours and of torchvision's, for `batch` pictures of `size` pixels a side."""
    with torch.device("meta"):
        images = torch.zeros(batch, 3, size, size)
        ours, theirs = both(name, size)
    return counts(ours, images), counts(theirs, images)


def operators_to_compile(network: nn.Module, size: int) -> tuple[int, int]:
    """In the graphs handed to the code generator: of a forward in eval mode; of forward and backward in training."""
    graphs: list[int] = []

    def look(graph: torch.fx.GraphModule, inputs: Sequence[Any]) -> Any:
        calls = [node.target for node in graph.graph.nodes if node.op == "call_function"]
        graphs.append(sum(target is not operator.getitem for target in calls))
        return make_boxed_func(graph.forward)

    images, targets = torch.randn(2, 3, size, size), torch.zeros(2, dtype=torch.int64)
    found = []
    for training in (False, True):
        torch.compiler.reset()
        graphs.clear()
        run = torch.compile(
            network.train(training), fullgraph=True, backend=aot_autograd(fw_compiler=look, bw_compiler=look)
        )
        if training:
            loss_of(run(images), targets).backward()
        else:
            with torch.inference_mode():
                run(images)
        found.append(sum(graphs))
    return found[0], found[1]


def forward(network: nn.Module, images: Tensor) -> Callable[[], object]:
    network.eval()

    def once() -> object:
        with torch.inference_mode():
            return network(images)

    return once


def step(network: nn.Module, images: Tensor) -> Callable[[], object]:
    network.train()
    targets = torch.arange(len(images)) % CLASSES
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)

    def once() -> None:
        optimiser.zero_grad()
        loss_of(network(images), targets).backward()
        optimiser.step()

    return once


def seconds(once: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        once()
    return (time.perf_counter() - start) / times


def compare(ours: Callable[[], object], theirs: Callable[[], object], pairs: int) -> np.ndarray:
    """Seconds (pairs, 2) of ours and theirs, in turns."""
    seconds(ours, 2), seconds(theirs, 2)  # memory is claimed, kernels are chosen
    times = max(1, round(TURN / seconds(theirs, 2)))
    measured = np.zeros((pairs, 2))
    for pair in range(pairs):
        for column in (0, 1) if pair % 2 else (1, 0):
            measured[pair, column] = seconds((ours, theirs)[column], times)
    return measured


def interval(ratios: np.ndarray) -> str:
    draws = np.random.default_rng(0).choice(ratios, (10_000, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return f"{np.median(ratios):.3f} [{low:.3f}, {high:.3f}]"


def print_counts(names: Sequence[str], batches: Sequence[int], size: int) -> None:
    print(
        "| network | batch | operators: forward | step | saved, MiB | peak: forward | step | claimed: forward | step |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in names:
        for batch in batches:
            ours, theirs = counts_of(name, batch, size)
            cells = [f"{ours.forward} / {theirs.forward}", f"{ours.step} / {theirs.step}"]
            cells += [
                f"{mine / 2**20:.1f} / {other / 2**20:.1f}" for mine, other in zip(ours[2:], theirs[2:], strict=True)
            ]
            print(f"| {name} | {batch} | {' | '.join(cells)} |", flush=True)


def print_times(names: Sequence[str], batches: Sequence[int], size: int, pairs: int, compiled: bool) -> None:
    print("| network | batch | | ours, ms | torchvision, ms | ratio, median of the pairs |")
    print("|---|---|---|---|---|---|")
    for name in names:
        for batch in batches:
            images = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0))
            for label, work in (("forward", forward), ("step", step)):
                torch.manual_seed(0)
                networks: Sequence[Any] = both(name, size)
                with torch.no_grad():
                    answers = [network.eval()(images) for network in networks]
                torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-4)
                if compiled:
                    torch.compiler.reset()
                    networks = [torch.compile(network) for network in networks]
                ours, theirs = (work(network, images) for network in networks)
                measured = compare(ours, theirs, pairs)
                mine, other = np.median(measured, axis=0) * 1e3
                ratio = interval(measured[:, 0] / measured[:, 1])
                print(f"| {name} | {batch} | {label} | {mine:.2f} | {other:.2f} | {ratio} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=FAMILIES, choices=PEERS, metavar="NETWORK")
    parser.add_argument("--size", type=int, default=64, help="side, pixels")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="time torch.compile of both")
    parser.add_argument("--counts", action="store_true", help="count only")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(
        f"commit {commit}, torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"{arguments.threads} thread(s), {arguments.size} px, {'compiled' if arguments.compile else 'eager'}\n"
    )
    print("ours / torchvision's")
    print_counts(arguments.networks, arguments.batch, arguments.size)
    if arguments.compile:
        print("\n| network | operators to compile: forward | step |\n|---|---|---|")
        for name in arguments.networks:
            (ours, theirs) = (operators_to_compile(each, arguments.size) for each in both(name, arguments.size))
            print(f"| {name} | {ours[0]} / {theirs[0]} | {ours[1]} / {theirs[1]} |", flush=True)
    if not arguments.counts:
        print()
        print_times(arguments.networks, arguments.batch, arguments.size, arguments.pairs, arguments.compile)


if __name__ == "__main__":
    main()
