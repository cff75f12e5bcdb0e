"""A study on a cluster: the same points, the same figures, in the same book; and what a cluster is not for."""

from importlib.util import find_spec
from pathlib import Path

import pytest

import orthogon as og
from orthogon.errors import UsageError
from orthogon.strategy import cluster

SHORT = ["training.epochs=6", "training.batch_size=64", "task.width=16", "task.members=2", "training.lr_race=false"]
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'orthogon[cluster]'")


@pytest.mark.slow
@needs_ray
@pytest.mark.system("hp.caviar")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("strategy", ["sobol", "halving", "tpe"])
def test_two_workers_of_ray_find_what_one_process_finds(
    tmp_path: Path, strategy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "iris"
    og.start("iris", project=place, sets=SHORT)
    told: list[dict] = []
    found = og.tune(project=place, strategy=strategy, budget=6, tiers=2, workers=2, cluster="local", listen=told.append)
    assert len(found.rows) == 6
    assert sum(event["event"] == "trial end" for event in told) == 6
    first = [row for row in found.rows if row.values["training.lr"] == 0.003 and row.values["task.width"] == 16]
    assert len(first) == 1  # the config at hand is among them
    assert first[0].state == "finished"
    assert found.best is not None
    assert "Scheduler" not in capsys.readouterr().out  # Ray keeps out of what programs read
    if strategy == "sobol":
        alone = og.tune(project=place, base="1", strategy=strategy, budget=6, tiers=2, train_best=False)
        ours = sorted((str(row.values["training.lr"]), row.error, row.loss) for row in found.rows)
        theirs = sorted((str(row.values["training.lr"]), row.error, row.loss) for row in alone.rows)
        assert [each[1:] for each in ours][:1] == [each[1:] for each in theirs][:1]
        assert len({each[0] for each in ours} & {each[0] for each in theirs}) >= 5


def test_what_a_cluster_is_not_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"hyperband needs to see every trial(.|\n)*random, sobol"):
        cluster.refuse("hyperband", "trials")
    with pytest.raises(UsageError, match=r"a number of trials(.|\n)*--budget 100"):
        cluster.refuse("tpe", "minutes")
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"Ray is not installed(.|\n)*orthogon\[cluster\]"):
        cluster.refuse("tpe", "trials")
