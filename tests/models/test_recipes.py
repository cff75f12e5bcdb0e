"""The papers' settings are there for every classic network, and are settings that training takes."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from orthogon.models import NETWORKS, image_networks, paper
from orthogon.models.recipes import RECIPES, Recipe
from orthogon.training.config import TrainingConfig
from orthogon.training.schedules import Schedule

# The networks of the catalogue's chapter on classic architectures.
CLASSIC = ("lenet5", "alexnet", "vgg16", "resnet34", "resnet50", "resnet101", "resnet152", "googlenet", "mobilenet_v1")


@pytest.mark.system("conv.defaults")
def test_every_classic_network_brings_its_papers_settings() -> None:
    assert {*CLASSIC, "mobilenet_v2", "resnet20", "plain20"} <= set(RECIPES) <= set(NETWORKS)


SGD = {"optimiser": "momentum_pytorch", "momentum": 0.9}
SAID = {  # read from the papers a second time, apart from the table
    # two passes at 0.0005, three at 0.0002, three at 0.0001, four at 0.00005, the rest of 20 at 0.00001
    "lenet5": {"optimiser": "sgd", "batch_size": 1, "epochs": 2 + 3 + 3 + 4 + 8,
               "lr_by_epoch": {"1": 5e-4, "3": 2e-4, "6": 1e-4, "9": 5e-5, "13": 1e-5}},
    "alexnet": {**SGD, "batch_size": 128, "weight_decay": 0.0005, "lr": 0.01, "epochs": 90},
    "vgg16": {**SGD, "batch_size": 256, "weight_decay": 5e-4, "lr": 1e-2, "epochs": 74},
    "googlenet": SGD,
    **{f"resnet{depth}": {**SGD, "batch_size": 256, "lr": 0.1, "steps": 60 * 10**4, "weight_decay": 0.0001}
       for depth in (34, 50, 101, 152)},
    "resnet20": {**SGD, "batch_size": 128, "lr": 0.1, "steps": 64_000, "weight_decay": 0.0001},
    "mobilenet_v1": {"optimiser": "rmsprop"},
    "mobilenet_v2": {"optimiser": "rmsprop", "beta2": 0.9, "optimiser_args": {"momentum": 0.9}, "lr": 0.045,
                     "batch_size": 96, "weight_decay": 0.00004, "decay_rate": 0.98},
}  # fmt: skip


@pytest.mark.system("conv.defaults")
@pytest.mark.parametrize("name", list(SAID))
def test_the_settings_are_those_of_the_paper(name: str) -> None:
    recipe = RECIPES[name]
    assert {key: recipe.training[key] for key in SAID[name]} == SAID[name]
    assert set(CLASSIC) <= set(SAID)


@pytest.mark.system("conv.defaults")
@pytest.mark.parametrize("name", list(RECIPES))
def test_the_settings_are_keys_of_the_config_and_paste_as_options(name: str) -> None:
    from orthogon.project.config import apply_sets

    recipe = RECIPES[name]
    config = TrainingConfig(**recipe.training)
    Schedule(config, total_steps=10, steps_per_epoch=5)
    words = shlex.split(recipe.options())
    assert words[::2] == ["--set"] * len(recipe.training)
    said = apply_sets({}, words[1::2])["training"]
    assert TrainingConfig(**json.loads(json.dumps(said))) == config
    assert recipe.paper


def test_the_papers_own_figures_agree_with_each_other() -> None:
    """VGG's 370,000 updates are its 74 epochs; the rates of the small ResNets fall after 32,000 and 48,000 updates."""
    assert 370_000 * RECIPES["vgg16"].training["batch_size"] / 1_281_167 == pytest.approx(
        RECIPES["vgg16"].training["epochs"], abs=0.1
    )
    updates = 45_000 / RECIPES["resnet20"].training["batch_size"]
    falls = [int(epoch) for epoch in RECIPES["resnet20"].training["lr_by_epoch"]]
    assert [(epoch - 1) * updates for epoch in falls] == pytest.approx([0, 32_000, 48_000], abs=updates)
    assert RECIPES["convnext_tiny"].training["lr_warmup_steps"] == pytest.approx(20 * 1_281_167 / 4096, abs=10)
    assert RECIPES["googlenet"].training["decay_rate"] ** 8 == pytest.approx(0.96)
    assert RECIPES["mobilenet_v3_large"].training["decay_rate"] ** 3 == pytest.approx(0.99)
    assert RECIPES["efficientnet_b0"].training["decay_rate"] ** 2.4 == pytest.approx(0.97)


def test_options_quote_what_a_shell_would_eat() -> None:
    recipe = Recipe("us", {"lr": 0.1, "lr_by_epoch": {"1": 0.1}, "optimiser": "sgd"})
    assert recipe.options() == (
        "--set training.lr=0.1 --set 'training.lr_by_epoch={\"1\":0.1}' --set training.optimiser=sgd"
    )


def test_every_network_for_pictures_names_its_paper() -> None:
    for name in image_networks():
        assert re.search(r"\b(19|20)\d\d\b", paper(name)), name
        assert "Parameters" not in paper(name)
    assert paper("mobilenet_v2") == (
        'Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv:1801.04381, table 2.'
    )
    assert paper("mlp") == paper("0003") == ""


def test_describe_shows_them(cli) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = cli("describe", "resnet20")
    assert code == 0
    assert "Published training (He et al. 2015, section 4.2):" in out
    assert 'Paper: He et al. 2015, "Deep Residual Learning for Image Recognition", arXiv:1512.03385' in out
    assert "--set training.steps=64000" in out
    assert "32,000 and 48,000 updates" in out
    code, out, _ = cli("describe", "resnet20", "--json")
    assert json.loads(out)["published"]["training"]["batch_size"] == 128
    code, out, _ = cli("describe", "mlp", "--json")
    assert "published" not in json.loads(out)


@pytest.mark.parametrize("name", list(RECIPES))
@pytest.mark.parametrize("batch_size", [32, 64])
def test_a_recipe_is_brought_to_another_batch(name: str, batch_size: int) -> None:
    published = RECIPES[name]
    scaled = published.scaled(batch_size)
    if scaled is None:
        assert not {"lr", "batch_size"} <= set(published.training)
        return
    share = batch_size / published.training["batch_size"]
    assert scaled.training["batch_size"] == batch_size
    assert scaled.training["lr"] == pytest.approx(published.training["lr"] * share, rel=1e-3)
    for epoch, rate in scaled.training.get("lr_by_epoch", {}).items():
        assert rate == pytest.approx(published.training["lr_by_epoch"][epoch] * share, rel=1e-3)
    same = set(published.training) - {"batch_size", "lr", "lr_by_epoch", "steps", "lr_warmup_steps"}
    assert all(scaled.training[key] == published.training[key] for key in same)
    assert not {"steps", "lr_warmup_steps"} & set(scaled.training)
    if "steps" in published.training:
        pictures = 45_000 if "lr_by_epoch" in published.training else 1_281_167
        passes = published.training["steps"] * published.training["batch_size"] / pictures
        assert scaled.training["epochs"] == pytest.approx(passes, rel=0.01)
    Schedule(TrainingConfig(**scaled.training), total_steps=10, steps_per_epoch=5)


def test_resnet20_at_a_batch_of_64() -> None:
    scaled = RECIPES["resnet20"].scaled(64)  # He et al.: 0.1 for 128
    assert scaled is not None
    assert scaled.training["lr"] == 0.05
    assert scaled.training["lr_by_epoch"] == {"1": 0.05, "92": 0.005, "137": 0.0005}
    assert scaled.training["epochs"] == 182  # 64,000 updates of 128 of 45,000 pictures
