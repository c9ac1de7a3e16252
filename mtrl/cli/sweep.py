"""`mtrl sweep FILE`: every method with every variant and every seed, on this machine or on a Ray cluster."""

import argparse
import fnmatch
import os
import secrets
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from mtrl import report
from mtrl.agents.config import Config
from mtrl.agents.groups import needed_memory
from mtrl.benchmarks import SupervisedConfig
from mtrl.cli.arguments import load_config
from mtrl.cli.failures import reason
from mtrl.cli.one_line_parser import OneLineParser
from mtrl.cli.screen import Screen, print_plain, show_report, show_table, warn
from mtrl.cli.streams import tell
from mtrl.cli.sweep_table import SweepTable
from mtrl.cli.trial import MARK, carry_out
from mtrl.cores import available_cores
from mtrl.runs import devices
from mtrl.runs.configs import find
from mtrl.runs.errors import UserError, disk_errors
from mtrl.runs.files import replacing, write_atomically
from mtrl.runs.lock import BusyError, locked, this_process
from mtrl.runs.reading import is_seed
from mtrl.runs.section import RunConfig
from mtrl.runs.stop_signals import stop_signals
from mtrl.runs.yaml_file import dump_yaml, read_yaml
from mtrl.sweep import Engine, Order, Resources, Result, SweepFile, Trial, drive, reach, read_sweep, trials
from mtrl.sweep.local import LocalEngine, gpu_slots

_DONE, _FAILED, _INTERRUPTED = 0, 1, 130


def run(words: list[str]) -> int:
    """Run the command.

    Returns:
        0 if all is finished, 1 if trials have failed or wait for what a user must mend, 130 if it was interrupted.
    """
    options = _parse(words)
    file, found = read(options.file, options.out)
    chosen = _chosen(found, options.only)
    for trial in chosen:
        reach.check_trial(trial)
    if options.print_config:
        for trial in chosen:
            print(f"--- # {trial.key}\n{dump_yaml(trial.config.model_dump(mode='json'))}", end="")
        return _DONE
    console = Screen()
    if options.dry_run:
        _show(console, file, chosen)
        return _DONE
    report.check_drawing()
    with _alone(options.out / file.name):
        return _carried_out(console, file, options, found, chosen, words)


def read(path: Path, out: Path) -> tuple[SweepFile, list[Trial]]:
    """The sweep of a file, and its trials in the folder of all sweeps.

    Raises:
        UserError: as of `mtrl.sweep.read_sweep` and `mtrl.sweep.trials`.
    """
    file = read_sweep(path)
    return file, trials(file, out, lambda given: _base(file, path, given))


def _parse(words: list[str]) -> argparse.Namespace:
    parser = OneLineParser("mtrl sweep", "Train every method with every variant and every seed of a file.")
    parser.add_argument("file", type=find, metavar="FILE", help="the sweep, or the name of one that comes with mtrl")
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="processes of this machine, or tasks of Ray"
    )
    parser.add_argument(
        "--address", metavar="A", help="of a Ray cluster: auto, or HOST:PORT; by default one is begun on this machine"
    )
    parser.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="folder of all sweeps")
    parser.add_argument("--jobs", type=int, metavar="N", help="trials at once, at most; by default as many as fit")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="GLOB",
        help="trials whose names match: 'nash_mtl*', '*/seed_0'; given again, those of both",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the trials and how they stand")
    parser.add_argument("--print-config", action="store_true", help="print the trials' whole configurations as YAML")
    parser.add_argument("--retry-failed", action="store_true", help="try trials again that have failed")
    options = parser.parse_args(words)
    if options.address and options.engine != "ray":
        raise UserError("--address is of --engine ray")
    if options.jobs is not None and options.jobs < 1:
        raise UserError(f"--jobs must be at least 1, got {options.jobs}")
    return options


def _base(file: SweepFile, path: Path, given: dict[str, list[str]]) -> RunConfig:
    """The base's configuration with some fields changed; a path is from the folder of the sweep's file."""
    beside = path.parent / file.base
    base = beside if beside.exists() else find(file.base)
    kind = _kind(read_yaml(base))
    return load_config(base, kind, given)


def _kind(tree: dict[str, object]) -> type[Config] | type[SupervisedConfig]:
    """The kind of the configuration in a file: supervised if it has something that only such ones have."""
    only_supervised = SupervisedConfig.model_fields.keys() - Config.model_fields.keys()
    return SupervisedConfig if only_supervised & tree.keys() else Config


def _chosen(found: Sequence[Trial], only: Sequence[str]) -> Sequence[Trial]:
    for glob in only:
        if not any(_matches(trial, glob) for trial in found):
            raise UserError(f"--only {glob}: there is no such trial; there are {_some(found)}")
    return [trial for trial in found if not only or any(_matches(trial, glob) for glob in only)]


def _matches(trial: Trial, glob: str) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for name in (trial.key, trial.config.name))


def _some(found: Sequence[Trial]) -> str:
    shown = [trial.key for trial in found[:5]]
    return ", ".join(shown) + (f" and {len(found) - len(shown)} more" if len(found) > len(shown) else "")


def _show(console: Console, file: SweepFile, chosen: Sequence[Trial]) -> None:
    rows = []
    for trial in chosen:
        failure, share = reach.failure(trial), reach.reached(trial).done / reach.budget(trial)
        is_finished = reach.is_finished(trial, file.keep)  # it may have failed before
        state = "finished" if is_finished else f"failed: {failure}" if failure else "to do"
        rows.append([trial.key, state, f"{share:.0%}", " ".join(str(folder) for folder in trial.folders.values())])
    show_table(console, f"{file.name}: {len(rows)} trials", (["trial", "state", "share", "folder"], rows), "")


def _carried_out(
    console: Console,
    file: SweepFile,
    options: argparse.Namespace,
    found: Sequence[Trial],
    chosen: Sequence[Trial],
    words: list[str],
) -> int:
    """Trains what is due of the chosen trials, and tells; the exit status."""
    if options.retry_failed:
        for trial in chosen:
            reach.forget_failure(trial)
    finished = [trial for trial in chosen if reach.is_finished(trial, file.keep)]
    failed = [(trial, why) for trial in chosen if trial not in finished and (why := reach.failure(trial))]
    over = {trial.key for trial in finished} | {trial.key for trial, _ in failed}
    due = [trial for trial in chosen if trial.key not in over]
    result, interrupted = Result(), False
    if due:
        result, interrupted = _driven(console, file, options, due, len(finished), len(failed))
    failed += result.failed
    return _told(console, options.out / file.name, found, result, failed, interrupted, words)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """A block in which no other driver carries the sweep in this folder out, which is made if need be."""
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        try:
            with locked(root):
                yield
        except BusyError as error:
            raise UserError(f"a driver carries the sweep {root} out already ({error})") from error


def _driven(
    console: Console, file: SweepFile, options: argparse.Namespace, due: Sequence[Trial], done: int, failed: int
) -> tuple[Result, bool]:
    """The result, and whether it was interrupted."""
    root = (options.out / file.name).absolute()
    mark = f"{secrets.token_hex(8)} process {this_process()}"
    orders = [Order(trial, file.keep, file.resources.cpus, root, mark, file.resources.ranks) for trial in due]
    with replacing(root / "sweep.yaml") as copy:
        copy.write(options.file.read_bytes())
    write_atomically(root / MARK, mark)
    engine = _engine(options, file.resources, due)
    try:
        with stop_signals() as stop, SweepTable(console, file.name, due, done, failed) as table:
            table.note(f"{len(due)} trials to do, {engine.describe()}")
            result = drive(orders, engine, stop, table, file.retries)
            return result, bool(stop)
    except KeyboardInterrupt:  # the second Ctrl-C
        return Result(waiting=len(due)), True
    finally:
        engine.close()


def _engine(options: argparse.Namespace, resources: Resources, due: Sequence[Trial]) -> Engine:
    known = [needed_memory(trial.config) for trial in due if isinstance(trial.config, Config)]
    memory = resources.memory_bytes or max(known, default=0)
    # What a worker computes beside torch has as many threads as its learner.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, str(resources.cpus))
    if options.engine == "ray":
        from mtrl.sweep.on_ray import RayEngine  # Ray is an optional extra

        return RayEngine(carry_out, options.address, resources.cpus, resources.gpus, memory, options.jobs)
    gpus = gpu_slots(resources.gpus)
    fitting = available_cores() // resources.cpus
    if memory and (available := devices.available_memory()):
        fitting = min(fitting, available // memory)
    if gpus is not None:
        fitting = min(max(fitting, 1), len(gpus))
    return LocalEngine(carry_out, options.jobs or max(1, fitting), gpus)


def _told(
    console: Console,
    root: Path,
    found: Sequence[Trial],
    result: Result,
    failed: Sequence[tuple[Trial, str]],
    interrupted: bool,
    words: list[str],
) -> int:
    """Prints the report and what is left; the exit status."""
    problems = [f"{trial.key}: {why}" for trial, why in failed]
    if not interrupted and (problem := _reported(console, root, found, bool(result.finished))):
        problems.append(problem)
    print_plain(console, f"Runs:   {root}")
    if result.halted:
        problems.append(f"no more trials were begun: {result.halted}")
    for problem in problems:
        tell(f"mtrl sweep: error: {problem}", sys.stderr)
    if failed:
        tell(f"mtrl sweep: {len(failed)} failed; --retry-failed tries them again", sys.stderr)
    if result.halted or interrupted:
        again = shlex.join(["mtrl", "sweep", *words])
        print_plain(console, f"{result.waiting} trials are to be done. To go on: {again}")
    return _INTERRUPTED if interrupted else _FAILED if problems else _DONE


def _reported(console: Console, root: Path, found: Sequence[Trial], is_new: bool) -> str:
    """Writes the report, if there is something new, and shows it; why that could not be done, or nothing.

    It is of all trials that have finished or failed, whichever of them were asked for, and each run's are together.
    """
    by_run: dict[str, list[Path]] = {}
    for trial in found:
        by_run.setdefault(trial.config.name, []).extend(_reportable(trial))
    runs = [folder for folders in by_run.values() for folder in folders]
    page = root / "report" / "index.html"
    try:
        if runs and (is_new or not page.exists() or max(map(_changed, runs)) > page.stat().st_mtime_ns):
            show_report(console, report.write_report(runs, page.parent, warn))
        elif page.exists():
            print_plain(console, f"Report: {page}")
    except (UserError, OSError) as error:
        return f"no report: {reason(error) or error}"
    return ""


def _reportable(trial: Trial) -> list[Path]:
    """The folders of a trial that has finished or failed, if they were made with its settings."""
    try:
        reach.check_trial(trial)
    except UserError as error:  # it was not asked for, or it would have been refused
        warn(f"not in the report: {error}")
        return []
    if not reach.is_finished(trial, "all") and reach.failure(trial) is None:
        return []
    return [folder for folder in trial.folders.values() if is_seed(folder)]


def _changed(run: Path) -> int:
    """When what a report reads of a run was last written, or was put here from elsewhere, in nanoseconds."""
    read = [run.parent, run, *run.glob("*.yaml"), *run.glob("*.json*"), *run.glob("videos/**/*.mp4")]
    return max(path.stat().st_ctime_ns for path in read)  # copies and archives keep the other time
