"""The chapter on the runs: what each is, what all have in common, in which settings they differ, their videos."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtrl.nested import flat
from mtrl.report.contents import chapter
from mtrl.report.metric_runs import MetricGroup
from mtrl.report.page import Chapter, Facts, Folded, Links
from mtrl.report.runs import OWN_TO_A_SEED, Group
from mtrl.report.success_runs import Evaluation, SuccessGroup, SuccessRun
from mtrl.report.table import NOTHING, Cell, Column, Table, commit_text, count
from mtrl.runs.reading import Record

_SIMULATORS = ("mujoco", "metaworld", "envpool", "gymnasium")


def runs_table(groups: Sequence[SuccessGroup]) -> Table:
    """A row per run, with everything that its numbers depend on; the method is said where a run's name does not."""
    runs = [run for group in groups for run in group.runs]
    methods = [run.config.get("method", {}).get("name", "") for run in runs]
    says_method = any(method and method != run.name for run, method in zip(runs, methods, strict=True))
    columns = [
        Column("run", "run"),
        Column("seed", "seed"),
        *([Column("method", "method")] if says_method else []),
        Column("steps", "steps", count),
        Column("updates", "updates", count),
        Column("minutes", "minutes", _minutes),
        Column("protocol", "protocol"),
        Column("episodes", "episodes per task"),
        Column("horizon", "evaluation horizon"),
        Column("evaluated_on", "evaluated on"),
        Column("goals", "evaluation goals"),
        Column("reward", "evaluation reward"),
        Column("backend", "trained on"),
        Column("training_horizon", "training horizon"),
        Column("training_goals", "training goals"),
        Column("reward_version", "training reward"),
        Column("precision", "precision"),
        *(Column(name, name) for name in _SIMULATORS),
        Column("packages", "other packages"),
        Column("commit", "commit", lambda commit: commit_text(str(commit))),
        Column("device", "device"),
        Column("hardware", "hardware"),
    ]
    rows = [
        (run.name, run.seed, *([method] if says_method else []), *_row(run))
        for run, method in zip(runs, methods, strict=True)
    ]
    return Table("runs", "Runs", columns, rows)


def metric_runs_table(groups: Sequence[MetricGroup]) -> Table:
    """A row per supervised run, with everything that its numbers depend on."""
    columns = [
        Column("run", "run"),
        Column("seed", "seed"),
        Column("method", "method"),
        Column("data", "data"),
        Column("epochs", "epochs", count),
        Column("minutes", "minutes", _minutes),
        Column("packages", "packages"),
        Column("commit", "commit", lambda commit: commit_text(str(commit))),
        Column("device", "device"),
        Column("hardware", "hardware"),
    ]
    rows = [
        (
            run.name,
            run.seed,
            run.method,
            run.outcome.source,
            run.done,
            run.wall_s / 60,
            _packages(run.versions),
            run.git_commit,
            run.device,
            run.hardware,
        )
        for group in groups
        for run in group.runs
    ]
    return Table("runs", "Runs", columns, rows)


def config_table(groups: Sequence[Group[Any]]) -> Table | None:
    """The settings in which runs differ, a column for each group; None if there is nothing to compare."""
    configs = {group.name: [flat(run.config) for run in group.runs] for group in groups}
    every = [config for of_group in configs.values() for config in of_group]
    keys = [key for key in dict.fromkeys(key for config in every for key in config) if not _is_own(key)]
    different = [key for key in keys if len({_setting(config, key) for config in every}) > 1]
    if not different:
        return None
    columns = [Column("setting", "setting"), *(Column(name, name) for name in configs)]
    rows = [
        (
            key,
            *("; ".join(dict.fromkeys(_setting(config, key) for config in of_group)) for of_group in configs.values()),
        )
        for key in different
    ]
    return Table("config", "Settings that differ", columns, rows, ["All others are the same, in all seeds."])


def _row(run: SuccessRun) -> tuple[Cell, ...]:
    env = run.config["env"]
    return (
        run.done,
        run.outcome.updates,
        run.wall_s / 60,
        _of_results(run, lambda result: result.protocol["name"]),
        _of_results(run, lambda result: result.protocol["episodes"]),
        _of_results(run, lambda result: result.protocol["horizon"]),
        _of_results(run, lambda result: result.simulator["backend"]),
        _of_results(run, lambda result: result.protocol["goals"]),
        _of_results(run, lambda result: result.protocol["reward"]),
        run.outcome.backend,
        run.outcome.horizon,
        _known(env.get("num_goals")),
        _known(env.get("reward_version")),
        _known(run.config.get("training", {}).get("precision")),
        *(_known(run.versions.get(name)) for name in _SIMULATORS),
        _packages({name: version for name, version in run.versions.items() if name not in _SIMULATORS}),
        run.git_commit,
        run.device,
        run.hardware,
    )


def _of_results(run: SuccessRun, value: Callable[[Evaluation], Any]) -> str | None:
    """A value of each of the run's evaluations, said once where they agree; None without any evaluation."""
    return "; ".join(dict.fromkeys(str(value(result)) for result in run.outcome.results)) or None


def _packages(versions: Record) -> str | None:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or None


def _known(value: Any) -> str | None:
    return None if value is None else str(value)


def _minutes(value: Cell) -> str:
    return f"{value:.1f}"


def _is_own(key: str) -> bool:
    return key == "name" or key.split(".")[0] in OWN_TO_A_SEED


def _setting(config: Mapping[str, Any], key: str) -> str:
    value = config.get(key, NOTHING)
    return "null" if value is None else str(value)


_ALWAYS = ("run", "seed", "steps", "epochs", "minutes")


def run_chapter(runs: Table, config: Table | None, videos: Iterable[Path], out: Path, suffix: str) -> Chapter:
    """The chapter on one set of runs; the table `runs` has a row for each."""
    first, texts = runs.rows[0], runs.texts[0]
    is_common = [
        column.key not in _ALWAYS and len({row[i] for row in runs.rows}) == 1 for i, column in enumerate(runs.columns)
    ]
    facts = [
        (column.title, text)
        for column, text, cell, common in zip(runs.columns, texts, first, is_common, strict=True)
        if common and cell is not None
    ]
    columns = [replace(column, is_on_page=not common) for column, common in zip(runs.columns, is_common, strict=True)]
    own = replace(runs, columns=columns, title="Each run")
    links = [("/".join(path.parts[-5:]), os.path.relpath(path, out)) for path in videos]
    return chapter(
        "Runs",
        [
            config,
            Facts("The same in all runs", facts) if facts else None,
            Folded("Each run", [own]) if len(own.rows) > 12 else own,
            Links("Videos", links) if links else None,
        ],
        suffix,
    )
