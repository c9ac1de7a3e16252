"""Seeds that are trained, then evaluated."""

import json
from pathlib import Path

from mtrl.agents.groups import train_and_evaluate
from mtrl.runs.events import Event
from tests.runs.small_runs import small


def test_an_evaluation_that_is_not_whole_is_made_anew(tmp_path: Path) -> None:
    folder, told = tmp_path / "seed_0", list[Event]()

    def evaluations() -> int:
        told.clear()
        assert train_and_evaluate(small(), {0: folder}, True, None, lambda event, seed: told.append(event))
        return sum(event["kind"] == "result" for event in told)

    assert evaluations() == 1
    assert evaluations() == 0
    path = folder / "evaluation.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in record.items() if name != "tasks"}))
    assert evaluations() == 1
    assert json.loads(path.read_text())["tasks"] == record["tasks"]
