"""QM9, table of Navon et al. 2022: MAE of 11 targets, mean rank and delta_m of every method, several seeds.

    python -m scripts.reproduce.qm9 --data DIR [--molecules N] [--epochs 30] [--seeds 0 1] [--jobs 4] [--smoke]

`--molecules` takes every so-many-th of the folder's (the raw files), so that large and small molecules keep their
shares; a tenth each is for validation and test, or 10,000 each of all 130,831. A step of 120 molecules takes about
0.2 s on one core with the mean and 1.2 s with a method that needs the 11 gradients; the single-task row is 11 networks.
`--smoke` needs no data: it makes up molecules.
"""

import csv
import gzip
import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mtrl.benchmarks.qm9.files import RAW_NAMES
from mtrl.benchmarks.qm9.raw import CSV_HEADER, find, read_bytes
from mtrl.benchmarks.qm9.section import TASKS
from scripts.reproduce import page, plots, supervised
from scripts.reproduce.options import parse, parser
from scripts.reproduce.page import Claim
from scripts.reproduce.supervised import NAVON, Result, Study

PAPER_EPOCHS = 300
SDF, CSV, UNCHARACTERIZED = RAW_NAMES
STUDY = Study(
    name="qm9",
    title="QM9 (Navon et al. 2022, tables 1 and 6)",
    config="qm9",
    variants=[variant for variant in NAVON if variant.label != "GradDrop"],
    columns={task: (f"{task}_mae",) for task in TASKS},
    baseline="STL",
    paper_epochs=PAPER_EPOCHS,
    reasons=(
        "The paper searches the step size of each method in {1e-3, 5e-4, 1e-4}; here all have 1e-3.",
        "delta_m and mean rank here are against our own single-task networks on the same molecules.",
        "Their single-task networks report about the last epoch (their criterion is nearly always true), ours the best "
        "in validation.",
    ),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, and write the results."""
    made = parser(__doc__, seeds=(0, 1), jobs=4)
    made.add_argument("--data", type=Path, help="folder of QM9's raw files")
    made.add_argument("--molecules", type=int, help="how many, default all that are there")
    made.add_argument("--epochs", type=int, default=PAPER_EPOCHS)
    options = parse(made, arguments)
    common: dict[str, object] = {"epochs": options.epochs}
    study = STUDY
    if options.smoke:
        data = options.runs / "qm9-made-up"
        make_up(data, 60)
        common = {"epochs": 1, "batch_size": 24, "benchmark.width": 8, "benchmark.edge_width": 8}
        few = [v for v in STUDY.variants if v.label in ("STL", "Nash-MTL")]
        study, options.seeds = replace(STUDY, variants=few), options.seeds[:1]
    elif options.data is None:
        made.error("--data needs QM9's folder: python -m mtrl.benchmarks.qm9.download DIR gets it")
    elif options.molecules is not None:
        data = options.runs / f"qm9-{options.molecules}-molecules"
        thin(options.data, data, options.molecules)
    else:
        data = options.data
    if options.epochs < PAPER_EPOCHS:
        common["schedule.patience_epochs"] = max(1, round(5 * options.epochs / PAPER_EPOCHS))
    study = replace(study, common=common)
    runs, out = supervised.carry_out(study, options, data), options.out / study.name
    if found := supervised.results(study, options, runs.missing):
        relative = supervised.relative(study, found)
        plots.dots(relative, "delta_m, % (lower is better)", out / "plot.png")
        page.write(supervised.make_page(study, found, claims(study, found), [runs], options, options.data), out)
    page.finish(runs.status, out)


def claims(study: Study, found: Sequence[Result]) -> list[Claim]:
    """What the paper's table and text claim by delta_m, and how it fared."""
    relative, ranks = supervised.relative(study, found), supervised.ranks(study, found)
    if not relative:
        return []
    means = {label: sum(values) / len(values) for label, values in relative.items()}

    def lower(first: str, second: str) -> Claim:
        verdict = page.compare(relative.get(first, []), relative.get(second, []), higher=False)
        shown = ", ".join(f"{label} {means[label]:+.1f}" for label in (first, second) if label in means)
        return Claim(f"{first} has a lower delta_m than {second}", verdict, shown)

    made = [lower("Nash-MTL", label) for label in means if label != "Nash-MTL"]
    made += [lower("SI", "LS"), lower("IMTL-G", "LS")]
    if "Nash-MTL" in ranks:
        best = min(ranks, key=lambda label: ranks[label])
        made.append(page.verdict("Nash-MTL has the best mean rank", best == "Nash-MTL", f"{best} {ranks[best]:.2f}"))
    text = "Every method is worse than single-task networks (delta_m above 0)"
    lowest, highest = min(means.values()), max(means.values())
    return [*made, page.verdict(text, lowest > 0, f"{lowest:+.1f} to {highest:+.1f}")]


def thin(source: Path, folder: Path, count: int) -> None:
    """Writes a folder of every so-many-th molecule of another, unless it is there."""
    if (folder / UNCHARACTERIZED).exists():  # written last
        return
    left_out = read_bytes(find(source, UNCHARACTERIZED))
    records = read_bytes(find(source, SDF)).split(b"$$$$\n")[:-1]
    header, *rows = read_bytes(find(source, CSV)).splitlines()
    if not 10 <= count <= len(records):
        raise SystemExit(f"--molecules needs 10 to {len(records):,}, got {count:,}")
    kept = [number * len(records) // count for number in range(count)]
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / f"{SDF}.gz", "wb", compresslevel=1) as file:
        file.write(b"".join(records[number] + b"$$$$\n" for number in kept))
    (folder / CSV).write_bytes(b"\n".join([header, *(rows[number] for number in kept)]) + b"\n")
    (folder / UNCHARACTERIZED).write_bytes(left_out)


def make_up(folder: Path, count: int) -> None:
    """Writes chains of carbon whose properties grow with their length, unless they are there."""
    if (folder / UNCHARACTERIZED).exists():  # written last
        return
    folder.mkdir(parents=True, exist_ok=True)
    generator = random.Random(0)
    sizes = [generator.randint(2, 6) for _ in range(count)]
    (folder / SDF).write_text("".join(line for n, size in enumerate(sizes, 1) for line in _record(n, size, generator)))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEADER.split(","))
    for number, size in enumerate(sizes, 1):
        writer.writerow([f"gdb_{number}", *(f"{size + generator.random():.4f}" for _ in range(19))])
    (folder / CSV).write_text(out.getvalue())
    (folder / UNCHARACTERIZED).write_text("0 compounds\n")


def _record(number: int, size: int, generator: random.Random) -> Iterator[str]:
    yield f"gdb_{number}\n made up\n\n{size:3d}{size - 1:3d}  0  0  0  0  0  0  0  0999 V2000\n"
    for atom in range(size):
        y, z = generator.random(), generator.random()
        yield f"{1.5 * atom:10.4f}{y:10.4f}{z:10.4f} C   0  0\n"
    for atom in range(1, size):
        yield f"{atom:3d}{atom + 1:3d}  1  0\n"
    yield "M  END\n$$$$\n"


if __name__ == "__main__":
    main()
