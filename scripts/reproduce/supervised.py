"""Supervised runs, a variant a row: their sweep, results, table, claims.

Axes: `R` seeds, `K` metrics.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mtrl.report.table import NOTHING, Table, text_table
from mtrl.runs.events import Start
from mtrl.statistics import MIN_RUNS_FOR_INTERVAL, bootstrap_interval, delta_m, mean_rank
from scripts.reproduce import page, sweep
from scripts.reproduce.page import Claim, Reproduction
from scripts.reproduce.sweep import Changes, Runs, slug


class Variant(NamedTuple):
    """One row."""

    label: str
    """As in the published table."""
    changes: Changes


def method(label: str, name: str, **more: Any) -> Variant:
    """A method, with hyper-parameters of its own."""
    return Variant(label, {"method.name": name} | {f"method.{key}": value for key, value in more.items()})


CLIPPED = {"optimizer.max_grad_norm": 1.0}
NASH = Variant("Nash-MTL", {"method.name": "nash_mtl"} | CLIPPED)
"""As published: its update is clipped."""
NAVON = (
    method("STL", "single_task"),
    method("LS", "mean"),
    method("SI", "scale_invariant"),
    method("RLW", "random_loss_weighting"),
    method("DWA", "dynamic_weight_average"),
    method("UW", "uncertainty_weighting"),
    method("MGDA", "mgda"),
    method("PCGrad", "pcgrad"),
    method("GradDrop", "grad_drop"),
    method("CAGrad", "cagrad", c=0.4),
    method("IMTL-G", "imtl_g"),
    NASH,
)
"""Rows of Navon et al.'s supervised tables."""
SENER = (
    method("Single task", "single_task"),
    method("Uniform", "mean"),
    method("Uncertainty weighting", "uncertainty_weighting"),
    method("GradNorm", "grad_norm"),
    method("MGDA", "mgda"),
    Variant("MGDA-UB", {"method.name": "mgda", "gradients": "features"}),
    NASH,
)
"""Rows of Sener and Koltun's, and Nash-MTL."""


@dataclass(frozen=True)
class Study:
    """One table of a paper, and what is run for it."""

    name: str
    """Of its folder, and of its published table."""
    title: str
    config: str
    """Under `configs/supervised`."""
    variants: Sequence[Variant]
    columns: Mapping[str, Sequence[str]]
    """Columns, as published, and the metrics that each is the mean of."""
    baseline: str
    """The single-task variant."""
    common: Changes = field(default_factory=dict)
    """Of all runs."""
    paper_epochs: int = 0
    """More or fewer are another size."""
    relative: bool = True
    """Whether there are delta_m and mean rank."""
    reasons: Sequence[str] = field(default=())


class Result(NamedTuple):
    """A finished run."""

    label: str
    seed: int
    values: dict[str, float]
    """By metric."""
    evaluation: dict[str, Any]
    starts: tuple[Start, ...] = ()
    """See `page.starts`."""


def carry_out(study: Study, options: argparse.Namespace, data: Path | None) -> Runs:
    """Trains what is not finished: all variants with every seed."""
    common = dict(study.common) | ({} if data is None else {"data": str(data)})
    variants = {variant.label: variant.changes for variant in study.variants}
    path = sweep.write(study.name, f"supervised/{study.config}", variants, options, common)
    return sweep.carry_out(path, options)


def run_folder(study: Study, options: argparse.Namespace, variant: Variant, seed: int) -> Path:
    """Where the run of a variant and a seed lies."""
    folder: Path = options.runs / study.name / slug(variant.label) / f"seed_{seed}"
    return folder


def results(study: Study, options: argparse.Namespace, missing: Sequence[str]) -> list[Result]:
    """The results of all runs that are finished; an evaluation in a folder of `Runs.missing` is of another run."""
    found = []
    for variant in study.variants:
        for seed in options.seeds:
            path = run_folder(study, options, variant, seed) / "evaluation.json"
            if path.exists() and f"{slug(variant.label)}/seed_{seed}" not in missing:
                evaluation = json.loads(path.read_text())
                values = {row["name"]: row["value"] for row in evaluation["metrics"]}
                found.append(Result(variant.label, seed, values, evaluation, page.starts(path.parent)))
    return found


def of(found: Sequence[Result], label: str, metrics: Sequence[str]) -> list[float]:
    """Per seed, the mean of these metrics."""
    return [float(np.mean([result.values[m] for m in metrics])) for result in found if result.label == label]


def relative(study: Study, found: Sequence[Result]) -> dict[str, list[float]]:
    """delta_m of each variant's seeds against the mean over seeds of our own single-task runs."""
    base = [result for result in found if result.label == study.baseline]
    if not base:
        return {}
    kinds = base[0].evaluation["metrics"]
    names, higher = [kind["name"] for kind in kinds], [kind["higher_is_better"] for kind in kinds]
    baselines = np.mean([[result.values[m] for m in names] for result in base], axis=0)
    if (baselines == 0).any():
        return {}
    values: dict[str, list[float]] = {}
    for result in found:
        if result.label != study.baseline:
            own = delta_m([result.values[m] for m in names], baselines, higher)
            values.setdefault(result.label, []).append(float(own))
    return values


def ranks(study: Study, found: Sequence[Result]) -> dict[str, float]:
    """Mean rank over metrics of the means over seeds."""
    labels = [label for label in dict.fromkeys(r.label for r in found) if label != study.baseline]
    if len(labels) < 2:
        return {}
    kinds = found[0].evaluation["metrics"]
    means = [[np.mean(of(found, label, [kind["name"]])) for kind in kinds] for label in labels]
    return dict(zip(labels, mean_rank(means, [kind["higher_is_better"] for kind in kinds]).tolist(), strict=True))


def is_comparable(study: Study, found: Sequence[Result], options: argparse.Namespace) -> bool:
    """The papers' data, whole, for as long."""
    return not options.smoke and all(
        r.evaluation["data"]["is_full"] and r.evaluation["protocol"]["epochs"] == study.paper_epochs for r in found
    )


def is_made_up(found: Sequence[Result], options: argparse.Namespace) -> bool:
    """Nothing published is shown with such data."""
    marks = ("stand-in", "bundled", "not the published")
    return options.smoke or any(mark in r.evaluation["data"]["source"] for r in found for mark in marks)


def table(study: Study, found: Sequence[Result], beside: bool) -> Table:
    """Our means, with 95% intervals from three seeds on; beside: the published row under each."""
    rows = []
    theirs = page.published(study.name)[0] if beside else {}
    own_delta, own_ranks = relative(study, found), ranks(study, found)
    extra = ("mean rank", "delta_m %") if study.relative else ()
    for label in dict.fromkeys(result.label for result in found):
        runs = [result for result in found if result.label == label]
        cells = [cell(of(found, label, metrics), len(study.columns) <= 4) for metrics in study.columns.values()]
        if study.relative:
            cells.append(f"{own_ranks[label]:.2f}" if label in own_ranks else NOTHING)
            cells.append(cell(own_delta[label], True, "+.2f") if label in own_delta else NOTHING)
        minutes = np.mean([result.evaluation["wall_s"] for result in runs]) / 60
        rows.append((label, str(len(runs)), *cells, f"{minutes:.1f}"))
        if label in theirs:
            row = theirs[label]
            rows.append(("– published", "", *(row.get(name) or NOTHING for name in (*study.columns, *extra)), ""))
    return text_table("", ("method", "seeds", *study.columns, *extra, "minutes"), tuple(rows))


def cell(values: Sequence[float], interval: bool, form: str = ".4g") -> str:
    """A mean, with its interval if it is asked for and there are seeds enough."""
    mean = format(np.mean(values), form)
    if not interval or len(values) < MIN_RUNS_FOR_INTERVAL:
        return mean
    ends = bootstrap_interval(np.array(values)[:, None], generator=np.random.default_rng(0))
    return f"{mean} ({ends.low:{form}} to {ends.high:{form}})"


def published_table(study: Study) -> Table:
    """The paper's table as printed."""
    rows, source = page.published(study.name)
    header = list(next(iter(rows.values())))
    cells = tuple(tuple(row[name] or NOTHING for name in header) for row in rows.values())
    return text_table(f"Published ({source}); another size, not to be compared number by number", tuple(header), cells)


def make_page(
    study: Study,
    found: Sequence[Result],
    claims: Sequence[Claim],
    runs: Sequence[Runs],
    options: argparse.Namespace,
    data: Path | None,
) -> Reproduction:
    """The page of what is finished; `found` holds one run at least, `data` is the user's folder, which is not shown."""
    beside, made_up = is_comparable(study, found, options), is_made_up(found, options)
    tables = [table(study, found, beside)]
    if not beside and not made_up:
        tables.append(published_table(study))
    data_of = found[0].evaluation["data"]
    sizes = ", ".join(f"{part} {data_of[part]:,}" for part in ("train", "validation", "test") if data_of.get(part))
    epochs = sorted({result.evaluation["protocol"]["epochs"] for result in found})
    about = [f"Data: {page.shown(data_of['source'], data)}; {sizes}; epochs: {' and '.join(map(str, epochs))}."]
    about.append(f"Seeds {' '.join(map(str, options.seeds))}, fixed beforehand; no run is left out.")
    labels = [result.label for result in found]
    if any(labels.count(label) >= MIN_RUNS_FOR_INTERVAL for label in labels):
        about.append("In brackets: 95% bootstrap interval over seeds.")
    if study.relative:
        about.append("delta_m is against our own single-task runs.")
    if made_up:
        about.append("**Made-up or replaced data: these numbers show that everything runs, and nothing else.**")
    reasons = [] if made_up else [*_size_reasons(study, epochs, data_of["is_full"]), *study.reasons]
    return Reproduction(
        title=study.title,
        made_of=" ".join(about),
        tables=tuple(tables),
        claims=() if made_up else tuple(claims),
        reasons=tuple(reasons),
        records=tuple(_records(found, data)),
        commands=tuple(one.command for one in runs),
        machine=page.machine((start for result in found for start in result.starts), hidden=data),
        sweeps={one.name: page.shown(one.file, data) for one in runs},
        missing=tuple(run for one in runs for run in one.missing),
    )


def _size_reasons(study: Study, epochs: Sequence[int], is_full: bool) -> Iterator[str]:
    if epochs != [study.paper_epochs]:
        yield f"Size: {' and '.join(map(str, epochs))} epochs here, {study.paper_epochs} published."
    if not is_full:
        yield "Size: a part of the data, so that all errors are larger."


def _records(found: Sequence[Result], data: Path | None) -> Iterator[dict[str, Any]]:
    for result in found:
        yield {
            "method": result.label,
            "seed": result.seed,
            "values": result.values,
            "minutes": result.evaluation["wall_s"] / 60,
            "epochs": result.evaluation["protocol"]["epochs"],
            "data": page.shown(result.evaluation["data"]["source"], data),
        }
