"""MultiMNIST, table 3 and figure of accuracies of Sener and Koltun 2018: every method, several seeds.

    python -m scripts.reproduce.multimnist --data data/mnist [--seeds 0 1 2] [--jobs 4] [--epochs 100] [--smoke]

The grid search trains with every weight; the weight of its row is that with the best mean accuracy on 10,000 held-out
training pairs, in runs of their own with seed 0. 45 runs and 9 for the search, of 6 to 18 minutes on one thread each:
two hours, four at a time. Without --data, scikit-learn's bundled digits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mtrl.runs.metrics_file import read_events
from scripts.jobs import run_all
from scripts.reproduce import page, plots, supervised
from scripts.reproduce.options import parse, parser
from scripts.reproduce.page import Claim
from scripts.reproduce.supervised import SENER, Result, Study, Variant

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
    held_out = f"--benchmark.validation_pairs {13_000 if options.smoke else HELD_OUT}"  # of 14,370 bundled pairs
    small = held_out if options.smoke else ""
    grid = [
        Variant(f"weights {w:g}, {1 - w:.2g}", f"--method.name mean --method.weights {w} {1 - w:.4g}") for w in weights
    ]
    study = replace(STUDY, variants=[*methods, *grid], common=f"--epochs {options.epochs} {small}".strip())
    extra = "--evaluation.select best_validation" + ("" if options.smoke else f" {held_out}")
    selection = [Variant(f"selection {v.label}", f"{v.changes} {extra}") for v in grid]
    searching = [supervised.job(study, v, options.seeds[0], options, options.data) for v in selection]
    jobs = [*supervised.jobs(study, options, options.data), *searching]
    out = options.out / study.name

    def write() -> None:
        found = supervised.results(study, options)
        if not found:
            return
        scores = [held_out_accuracy(options.runs / study.name, v, options.seeds[0]) for v in selection]
        scored = {v.label: score for v, score in zip(grid, scores, strict=True) if score is not None}
        if len(scored) == len(grid):
            best = max(scored, key=lambda label: scored[label])
            found += [r._replace(label=BEST) for r in found if r.label == best]
        front = {v.label: f"{w:g}" for v, w in zip(grid, weights, strict=True)}
        places = {label: accuracies(found, label) for label in dict.fromkeys(r.label for r in found)}
        plots.points(
            {label: pairs for label, pairs in places.items() if label not in (*front, BEST)},
            "top left, accuracy %",
            "bottom right, accuracy %",
            out / "plot.png",
            {front[label]: pairs for label, pairs in places.items() if label in front},
            "Weight of the top left",
        )
        made_page = supervised.make_page(study, found, claims(found), jobs, options, options.data)
        if BEST in {r.label for r in found}:
            about = f"{made_page.made_of} Grid search: {best}, the best of {len(grid)} on {HELD_OUT:,} held-out pairs."
            made_page = replace(made_page, made_of=about)
        page.write(made_page, out)

    page.finish(run_all(jobs, options.jobs, options.threads, after=write), out)


def accuracies(found: Sequence[Result], label: str) -> list[tuple[float, float]]:
    """Of both digits, per seed."""
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


def held_out_accuracy(runs: Path, variant: Variant, seed: int) -> float | None:
    """Mean over tasks on the held-out pairs after the last epoch; None if the run is not finished."""
    folder = supervised.run_folder(runs, variant, seed)
    if not (folder / "evaluation.json").exists():
        return None
    evaluations = [event for event in read_events(folder / "metrics.jsonl") if event["kind"] == "evaluation"]
    last = [event for event in evaluations if event["split"] == "validation"][-1]
    return sum(last["metrics"][name] for name in METRICS) / len(METRICS)


if __name__ == "__main__":
    main()
