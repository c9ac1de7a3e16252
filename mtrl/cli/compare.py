"""`mtrl compare RUN OTHER`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from mtrl.cli.one_line_parser import OneLineParser
from mtrl.cli.screen import Screen, print_plain, show_table, warn
from mtrl.nested import flat
from mtrl.protocols import EVALUATION_FILES
from mtrl.report.made_with import made_with
from mtrl.report.paired_results import Results, compare_results, listed, metrics_by_seed, scores_by_seed
from mtrl.report.table import NOTHING, commit_text
from mtrl.runs.errors import UserError
from mtrl.runs.events import Start
from mtrl.runs.metrics_file import read_events
from mtrl.runs.reading import find_seeds, is_supervised, read_config, warn_of_seeds

_PLACE = ("name", "out", "seeds", "device", "track", "data")  # of a configuration
_MADE_WITH = ("git_commit", "hardware", "device", "threads", "versions", "simulator", "data")

Tree = Mapping[str, Any]


def run(words: list[str]) -> int:
    """Print how two runs differ."""
    parser = OneLineParser("mtrl compare", "Print how two runs differ: in configuration, in software, in results.")
    parser.add_argument("one", type=Path, metavar="RUN", help="a seed's folder, or a folder of seeds")
    parser.add_argument("other", type=Path, metavar="OTHER", help="what it is compared with, likewise")
    arguments = parser.parse_args(words)
    paths = [arguments.one, arguments.other]
    found = [_by_seed(path) for path in paths]
    folders = [{seed: folder for seed, (folder, _) in seeds.items()} for seeds in found]
    configs = [{seed: config for seed, (_, config) in seeds.items()} for seeds in found]
    kinds = [is_supervised(next(iter(seeds.values()))) for seeds in folders]
    if kinds[0] != kinds[1]:
        raise UserError(f"{paths[kinds.index(True)]} is a supervised run and {paths[kinds.index(False)]} is none")
    names = [str(next(iter(of_seeds.values()))["name"]) for of_seeds in configs]
    if names[0] == names[1]:
        names = [str(path) for path in paths]
    console = Screen()
    settings = [{seed: _settings(config) for seed, config in of_seeds.items()} for of_seeds in configs]
    starts = [{seed: _starts(folder) for seed, folder in seeds.items()} for seeds in folders]
    made = [{seed: _made_with(of_seed) for seed, of_seed in of_seeds.items()} for of_seeds in starts]
    _show_differences(console, "Configuration", names, settings)
    _show_differences(console, "Made with", names, made)
    tables: list[tuple[str, list[Results], str | None]] = []
    if kinds[0]:
        metrics: list[Results] = [metrics_by_seed(run, warn) for run in folders]
        tables += [("Metrics", metrics, None)] if all(metrics) else []
    else:
        for run, of_seeds, of_run in zip(folders, configs, starts, strict=True):
            for seed, folder in run.items():
                warn_of_seeds(folder, of_seeds[seed], of_run[seed], warn)
        for protocol in EVALUATION_FILES:
            for measure, results in scores_by_seed(folders, protocol, warn).items():
                tables.append((f"{measure.label.capitalize()}, protocol {protocol}", results, protocol))
    for table in tables:
        _show_results(console, names, folders, *table)
    if not tables:
        print_plain(console, "\nResults: there is no evaluation under one protocol of both runs.")
    return 0


def _by_seed(path: Path) -> dict[int, tuple[Path, Tree]]:
    """The folders of a run and their configurations, by seed.

    Raises:
        UserError: a configuration has no seed, or two have the same.
    """
    found: dict[int, tuple[Path, Tree]] = {}
    for folder in find_seeds([path]):
        try:
            config = read_config(folder)
        except UserError as error:
            if (folder / "config.yaml").exists():
                raise
            warn(f"left out: {error}")
            continue
        try:
            seed = int(config["seeds"][0])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UserError(f"{path} is not as a run writes it: a config.yaml has no seeds") from error
        if seed in found:
            raise UserError(f"seed {seed} of {config['name']} is there twice: {found[seed][0]} and {folder}")
        found[seed] = folder, config
    if not found:
        raise UserError(f"{path} has no seed with a config.yaml")
    return found


def _settings(config: Tree) -> Tree:
    """What a run is, without where it is."""
    return {name: value for name, value in config.items() if name not in _PLACE}


def _starts(folder: Path) -> list[Start]:
    """The start lines of a run, one each time that it was resumed."""
    return [event for event in read_events(folder / "metrics.jsonl") if event["kind"] == "start"]


def _made_with(starts: Sequence[Start]) -> Tree:
    """What a run was made with, by all its start lines; empty before there is one."""
    made = made_with(starts)
    if isinstance(commit := made.get("git_commit"), str):
        made["git_commit"] = commit_text(commit)
    return {name: made[name] for name in _MADE_WITH if name in made}


def _show_differences(console: Console, title: str, names: list[str], runs: Sequence[Mapping[int, Tree]]) -> None:
    """A row for each key, dotted, whose values are not the same in all seeds of both runs."""
    values = [{seed: flat(tree) for seed, tree in run.items()} for run in runs]
    rows = []
    for key in dict.fromkeys(key for run in values for of_seed in run.values() for key in of_seed):
        texts = [{seed: _text(of_seed, key) for seed, of_seed in run.items()} for run in values]
        if len({text for run in texts for text in run.values()}) > 1:
            rows.append([key, *map(_of_seeds, texts)])
    if rows:
        show_table(console, title, (["", *names], rows), "")
    else:
        print_plain(console, f"\n{title}: the same.")


def _show_results(
    console: Console,
    names: list[str],
    folders: Sequence[Mapping[int, Path]],
    title: str,
    results: Sequence[Results],
    protocol: str | None,
) -> None:
    """The results of both runs, or why they are not compared."""
    found = compare_results(names, results, protocol, folders)
    if isinstance(found, str):
        print_plain(console, f"\nResults: {found}.")
    else:
        show_table(console, title, (found.header, found.rows), found.note)


def _of_seeds(texts: Mapping[int, str]) -> str:
    """What is said of all seeds of a run, or each with the seeds that it is said of."""
    seeds: dict[str, list[int]] = {}
    for seed, text in texts.items():
        seeds.setdefault(text, []).append(seed)
    if len(seeds) == 1:
        return next(iter(seeds))
    return "; ".join(f"{text} ({listed(of)})" for text, of in seeds.items())


def _text(values: Tree, key: str) -> str:
    if key not in values:
        return NOTHING
    value = values[key]
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
