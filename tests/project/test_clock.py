"""Minutes are counted by whatever clock the caller has."""

from pathlib import Path

from orthogon.project import Project

TICK = 0.5  # what the clock gains each time it is read, seconds


def test_minutes_are_those_of_the_given_clock(tmp_path: Path) -> None:
    readings = 0

    def clock() -> float:
        nonlocal readings
        readings += 1
        return readings * TICK

    training = {"minutes": 0.5, "preflight": False, "patience": 1000}
    project = Project.create({"data": {"source": "iris"}, "training": training}, tmp_path / "p")
    run = project.train(project.config(), clock=clock)
    end = run.log()[-1]
    assert (end["event"], end["status"]) == ("end", "budget")
    assert end["seconds"] % TICK == 0
