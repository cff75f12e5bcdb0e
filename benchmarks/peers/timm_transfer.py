"""Fine-tune MobileNet v2 with timm's own pieces, as a peer of `benchmarks/transfer_quality.py`.

It runs in an environment of its own and is never imported by ours:

    python -m venv peer && peer/bin/pip install timm
    peer/bin/python benchmarks/peers/timm_transfer.py SPLITS.json --weights WEIGHTS.pt --minutes 1

SPLITS.json holds {"classes": [...], "train": [[path, class], ...], "dev": ..., "test": ..., "mirror": bool}; it is what
`transfer_quality.py` writes. The last line of the output is JSON: dev and test error, updates, epochs, and the seconds
of training by the processor and by the clock.

Recipe: timm's fine-tuning habits, namely `create_model("mobilenetv2_100")`, all layers trained; `create_transform` with
crops of 35 to 100 % of the area, colour jitter 0.4 and mirroring where it keeps the class;
`LabelSmoothingCrossEntropy`; `create_optimizer_v2` with AdamW at 1e-3 (head and body alike), weight decay 0.05 off
norms and biases; timm's cosine to zero, driven by the share of the minutes that is gone.

A minute is one of as many cores as there are threads: 60 x threads seconds of the processor, those of workers among
them, so that other work on the machine takes nothing from it. It starts at the first batch; reading pictures counts.
The weights come from TensorFlow, so the network pads as TensorFlow does and takes pixels as x / 127.5 - 1.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import timm
import torch
from PIL import Image
from timm.data import create_transform
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from torch.utils.data import DataLoader, Dataset

TICKS = 1000  # of the cosine


class Pictures(Dataset):
    def __init__(self, rows: list[list[str]], classes: list[str], transform) -> None:
        self.rows = [(path, classes.index(name)) for path, name in rows]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        path, label = self.rows[i]
        with Image.open(path) as picture:
            return self.transform(picture.convert("RGB")), label


def network_of(weights: str | None, num_classes: int) -> torch.nn.Module:
    """timm's network; weights under torchvision's names are carried over in order, and every shape is compared."""
    network = timm.create_model(
        "mobilenetv2_100", pretrained=False, num_classes=num_classes, pad_type="same", drop_rate=0.2
    )
    if weights is None:
        return network
    given, wanted = (
        [(name, value) for name, value in state.items() if not name.startswith("classifier") and "tracked" not in name]
        for state in (torch.load(weights, weights_only=True), network.state_dict())
    )
    if len(given) != len(wanted):
        raise SystemExit(f"{weights}: {len(given)} tensors, timm's network has {len(wanted)}")
    for (theirs, tensor), (ours, place) in zip(given, wanted, strict=True):
        if tensor.shape != place.shape or theirs.rsplit(".", 1)[-1] != ours.rsplit(".", 1)[-1]:
            raise SystemExit(f"{weights}: {theirs} does not fit {ours}")
    carried = {ours: tensor.to(place.dtype) for (_, tensor), (ours, place) in zip(given, wanted, strict=True)}
    network.load_state_dict(carried, strict=False)
    return network


def cpu_seconds() -> float:
    """Of this process, its threads and the children that have ended."""
    return sum(os.times()[:4])


@torch.inference_mode()
def error(network: torch.nn.Module, loader: DataLoader) -> float:
    network.eval()
    wrong = [(network(images).argmax(1) != labels).sum().item() for images, labels in loader]
    return sum(wrong) / len(loader.dataset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("splits", type=Path)
    parser.add_argument(
        "--weights", help="state dict under torchvision's names and in its order; left out: from scratch"
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=160, help="side, pixels")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    splits = json.loads(options.splits.read_text())
    classes = splits["classes"]
    pixels = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bilinear"}
    varied = create_transform(
        options.size,
        is_training=True,
        scale=(0.35, 1.0),
        hflip=0.5 if splits["mirror"] else 0.0,
        color_jitter=0.4,
        **pixels,
    )
    plain = create_transform(options.size, is_training=False, crop_pct=1.0, **pixels)
    train = DataLoader(
        Pictures(splits["train"], classes, varied),
        options.batch,
        shuffle=True,
        drop_last=True,
        num_workers=0,  # what workers take is known only once they have ended
    )
    network = network_of(options.weights, len(classes))
    optimiser = create_optimizer_v2(network, opt="adamw", lr=options.lr, weight_decay=0.05)
    schedule = CosineLRScheduler(optimiser, t_initial=TICKS, t_in_epochs=False)
    loss_of = LabelSmoothingCrossEntropy(0.1)
    budget, updates, spent = 60 * options.threads * options.minutes, 0, 0.0
    start, wall = cpu_seconds(), time.perf_counter()
    while spent < budget:
        network.train()
        for images, labels in train:
            optimiser.zero_grad()
            loss_of(network(images), labels).backward()
            optimiser.step()
            updates += 1
            spent = cpu_seconds() - start
            if spent >= budget:
                break
            schedule.step_update(int(TICKS * spent / budget))
    wall = time.perf_counter() - wall
    found = {
        split: error(network, DataLoader(Pictures(splits[split], classes, plain), 64)) for split in ("dev", "test")
    }
    found |= {"updates": updates, "epochs": round(updates / len(train), 1), "timm": timm.__version__}
    print(json.dumps(found | {"cpu_seconds": round(spent, 1), "wall_seconds": round(wall, 1)}))


if __name__ == "__main__":
    main()
