"""MultiMNIST, table 3 and figure of accuracies of Sener and Koltun 2018: every method, several seeds.

    python -m scripts.reproduce.multimnist --data data/mnist [--seeds 0 1 2] [--jobs 4] [--epochs 100] [--smoke]

The grid search trains with every weight; the weight of its row is that with the best mean accuracy on 10,000 held-out
training pairs, in runs of their own with seed 0. 45 runs and 9 for the search, of 6 to 18 minutes on one thread each:
two hours, four at a time. Without --data, scikit-learn's bundled digits.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mtrl.runs.metrics_file import read_events
from scripts.reproduce import page, plots, supervised
from scripts.reproduce.options import parse, parser
from scripts.reproduce.page import Claim
from scripts.reproduce.supervised import SENER, Result, Study, Variant
from scripts.reproduce.sweep import INTERRUPTED, Runs

METRICS = ("top_left_accuracy", "bottom_right_accuracy")
BEST = "Grid search"
HELD_OUT = 10_000
STUDY = Study(
    name="multimnist",
    title="MultiMNIST (Sener & Koltun 2018, table 3)",
    config="multimnist",
    variants=SENER,
    columns={"top left": METRICS[:1], "bottom right": METRICS[1:]},
    baseline="Single task",
    relative=False,
    paper_epochs=100,
    reasons=(
        "The paper searches the step size for each method by validation accuracy; here all have the authors' 0.05.",
        "The paper's pairs of digits were drawn anew and are not published; one draw of ours serves all runs.",
        "Published numbers are of one run each; the figures of the last epoch stand here, not of the best.",
        "Dropout is scaled as usual (their code leaves it unscaled).",
        "The held-out pairs that choose the grid's weights are of single images that are in training pairs, too.",
    ),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, and write the results."""
    made = parser(__doc__, jobs=4)
    made.add_argument("--data", type=Path, help="folder of MNIST's idx files")
    made.add_argument("--epochs", type=int, default=100)
    made.add_argument("--weights", type=float, nargs="+", help="of the top left task; default 0.1 to 0.9")
    options = parse(made, arguments)
    if options.smoke:
        options.seeds, options.epochs = options.seeds[:1], 1
    methods = [v for v in SENER if v.label == "MGDA-UB"] if options.smoke else SENER
    weights = options.weights or ([0.3] if options.smoke else [round(0.1 * n, 1) for n in range(1, 10)])
    if not all(0 <= weight <= 1 for weight in weights):
        made.error(f"--weights need to be in [0, 1], got {' '.join(map(str, weights))}")
    held_out = {"benchmark.validation_pairs": 13_000 if options.smoke else HELD_OUT}  # of 14,370 bundled pairs
    common = {"epochs": options.epochs, **(held_out if options.smoke else {})}
    grid = [supervised.method(f"weights {w:g}, {1 - w:.2g}", "mean", weights=[w, round(1 - w, 4)]) for w in weights]
    study = replace(STUDY, variants=[*methods, *grid], common=common)
    searching = replace(
        STUDY,
        name=f"{STUDY.name}-selection",
        variants=grid,
        common=common | held_out | {"evaluation.select": "best_validation"},
    )
    once = argparse.Namespace(**vars(options) | {"seeds": options.seeds[:1]})
    runs, out = [supervised.carry_out(study, options, options.data)], options.out / study.name
    if runs[0].status != INTERRUPTED:
        runs.append(supervised.carry_out(searching, once, options.data))
    if found := supervised.results(study, options, runs[0].missing):
        searched = {r.label for one in runs[1:] for r in supervised.results(searching, once, one.missing)}
        folders = {v.label: supervised.run_folder(searching, once, v, once.seeds[0]) for v in grid}
        scores = {label: held_out_accuracy(folder) for label, folder in folders.items() if label in searched}
        write(study, found, dict(zip(weights, grid, strict=True)), scores, runs, options)
    page.finish(max(one.status for one in runs), out)


def write(
    study: Study,
    found: Sequence[Result],
    grid: Mapping[float, Variant],
    scores: Mapping[str, float],
    runs: Sequence[Runs],
    options: argparse.Namespace,
) -> None:
    """The picture and the page."""
    out = options.out / study.name
    about = ""
    if len(scores) == len(grid):
        best = max(scores, key=lambda label: scores[label])
        found = [*found, *(r._replace(label=BEST) for r in found if r.label == best)]
        about = f" Grid search: {best}, the best of {len(grid)} on {HELD_OUT:,} held-out pairs."
    front = {v.label: f"{w:g}" for w, v in grid.items()}
    places = {label: accuracies(found, label) for label in dict.fromkeys(r.label for r in found)}
    plots.points(
        {label: pairs for label, pairs in places.items() if label not in (*front, BEST)},
        "top left, accuracy %",
        "bottom right, accuracy %",
        out / "plot.png",
        {front[label]: pairs for label, pairs in places.items() if label in front},
        "Weight of the top left",
    )
    made = supervised.make_page(study, found, claims(found), runs, options, options.data)
    page.write(replace(made, made_of=made.made_of + about), out)


def accuracies(found: Sequence[Result], label: str) -> list[tuple[float, float]]:
    """The accuracies of both digits, per seed."""
    top_left, bottom_right = (supervised.of(found, label, [metric]) for metric in METRICS)
    return list(zip(top_left, bottom_right, strict=True))


def claims(found: Sequence[Result]) -> list[Claim]:
    """What the paper says of MGDA-UB, and how it fared."""
    accuracy = {label: supervised.of(found, label, METRICS) for label in {result.label for result in found}}

    def shown(label: str) -> str:
        values = accuracy.get(label)
        return f"{label} {sum(values) / len(values):.2f}" if values else f"{label}: not run"

    better = [
        Claim(
            f"MGDA-UB is more accurate than {other} (mean of both digits)",
            page.compare(accuracy.get("MGDA-UB", []), accuracy.get(other, [])),
            f"{shown('MGDA-UB')}, {shown(other)}",
        )
        for other in ("Uniform", "Uncertainty weighting", "GradNorm", BEST)
    ]
    return [*better, equal(accuracy, shown)]


def equal(accuracy: Mapping[str, Sequence[float]], shown: Callable[[str], str]) -> Claim:
    """MGDA-UB is not worse than single-task networks beyond the spread of the seeds."""
    single, shared = accuracy.get("Single task", []), accuracy.get("MGDA-UB", [])
    if min(len(single), len(shared)) < 2:
        verdict = "not to be said of one seed" if single and shared else "not run"
    else:
        verdict = "does not hold" if page.compare(single, shared) == "holds" else "holds"
    evidence = f"{shown('MGDA-UB')}, {shown('Single task')}"
    return Claim("MGDA-UB is as accurate as a network for each digit (no seed apart)", verdict, evidence)


def held_out_accuracy(folder: Path) -> float:
    """Mean over tasks on the held-out pairs after the last epoch of a finished run."""
    evaluations = [event for event in read_events(folder / "metrics.jsonl") if event["kind"] == "evaluation"]
    last = [event for event in evaluations if event["split"] == "validation"][-1]
    return sum(last["metrics"][name] for name in METRICS) / len(METRICS)


if __name__ == "__main__":
    main()
