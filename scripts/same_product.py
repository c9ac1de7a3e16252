"""Whether this tree's product is another commit's: the same commands in both, and what came out side by side.

    python -m scripts.same_product COMMIT

Short runs of two seeds of MT10, of MultiMNIST on scikit-learn's digits and of the toy problem, their reports, and
commands that are refused. Losses, evaluations, tables and messages must be equal to the last bit, on any one machine;
rates, times, versions and paths are left out, and what differs as it should is said with its reason. Takes four
minutes on one core; exits with 1 where something else differs.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MT10 = """train configs/mt10/quick.yaml --out {out} --device cpu --training.compile false --training.precision float32
--training.threads 1 --steps 4000 --training.warmup_steps 2000 --training.log_every_steps 500
--training.eval_every_steps 2000 --env.horizon 50 --evaluation.horizon 50 --evaluation.episodes 2"""
SEEN_ONLY = "--evaluation.unseen_goals false"  # older commits play no other goals
COMMANDS = [
    f"{MT10} --name nash --seeds 0 1",
    f"{MT10} --name mean --method.name mean --seeds 0",
    f"{MT10} --name pcgrad --method.name pcgrad --seeds 0",
    "supervised configs/supervised/toy.yaml --out {out} --epochs 2 --seeds 0",
    "supervised configs/supervised/multimnist.yaml --out {out} --epochs 2 --method.name nash_mtl --threads 1",
    "report {out}/nash {out}/mean {out}/pcgrad --out {out}/both",
    "report {out}/multimnist --out {out}/digits",
    "status {out}",
    "compare {out}/nash {out}/mean",
    "train configs/mt10/quick.yaml --method.name nash",
    "train configs/mt10/quick.yaml --steps -3",
    "train configs/mt10/quick.yaml --agent.critic.widht 3",
    "train nowhere.yaml",
    "train configs/mt10/quick.yaml --env.tasks MT11",
    "train configs/mt10/quick.yaml --name nash --out {out} --seeds 0",
    "train configs/mt10/quick.yaml --training.replay_capacity_per_task 1",
    "evaluate {out}/nowhere",
    "report {out}/nowhere",
    "supervised configs/supervised/multimnist.yaml --epochs 0",
    "export {out}/toy --format torch",
]
LEFT_OUT = re.compile(r"(_s|_per_s|time|time_share|versions|git_commit|hardware|seconds|minutes|commit)$")
OF_THE_MACHINE = re.compile(
    r"[0-9a-f]{40}|\d+ s ago|\d+:\d\d(:\d\d)?|[\d,.]+ (\w+/(s|min)|minutes?|hours?|s)\b|-{2,}:?| +"
)
SLOW_START = "loading PyTorch"  # said where it takes long, and again
INTENDED = {
    "validation errors for Config": "a configuration has more fields",
    "exists and is never overwritten": "one rule, whose two texts have become one",
    "no agent that comes with mtrl": "agents come with the package",
}
"""What may differ from older commits, by a part of what is said now, and why."""
TABLES = (".csv", ".md", ".json", ".jsonl")
NOT_COMPARED = {"time.csv", "time.md", "runs.csv", "runs.md"}  # rates, versions, processors


def main() -> int:
    """Run the commands in both trees; 1 if something differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("commit")
    commit = parser.parse_args().commit
    with tempfile.TemporaryDirectory() as temporary:
        old, outs = Path(temporary) / "old", [Path(temporary) / name for name in ("out_old", "out_new")]
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(old), commit], check=True)
        try:
            before, after = (product(tree, out) for tree, out in zip((old, ROOT), outs, strict=True))
        finally:
            subprocess.run([*git, "remove", "--force", str(old)], check=True)
    intended: list[str] = []
    differences: list[str] = []
    for line in differing("", before, after):
        reasons = [reason for text, reason in INTENDED.items() if text in line]
        (intended if reasons else differences).append(" ".join([line, *(f"({reason})" for reason in reasons)]))
    print(*intended, *(differences[:40] or [f"else the same: {len(before)} files and messages"]), sep="\n")
    return 1 if differences else 0


def product(tree: Path, out: Path) -> dict[str, Any]:
    """What the commands say, and the files that they leave, by name."""
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    found: dict[str, Any] = {}
    for command in COMMANDS:
        print(f"{tree.name}: mtrl {command.split(' --')[0]}", file=sys.stderr)
        words = [sys.executable, "-c", "import sys; from mtrl.cli.main import main; sys.exit(main())"]
        words += shlex.split(command.format(out=out))
        if command.startswith(MT10) and "unseen_goals" in (tree / "agents/config.py").read_text():
            words += shlex.split(SEEN_ONLY)
        done = subprocess.run(words, cwd=tree, env=environment, capture_output=True, text=True, check=False)
        if command.startswith(("train", "supervised")) and not done.returncode:
            said = ""  # of rates and times
        else:
            said = (done.stdout + done.stderr).replace(str(out), "OUT").replace(str(tree), "TREE")
        found[command] = {"status": done.returncode, "said": lines(said)}
    for path in sorted(out.rglob("*")):
        if path.suffix in TABLES and path.name not in NOT_COMPARED:
            found[str(path.relative_to(out))] = content(path, out)
    return found


def content(path: Path, out: Path) -> Any:
    """A file without what differs between two runs of one program."""
    if path.suffix == ".jsonl":
        return [lasting(json.loads(line)) for line in path.read_text().splitlines()]
    if path.suffix == ".json":
        return lasting(json.loads(path.read_text()))
    return lines(path.read_text().replace(str(out), "OUT"))


def lines(text: str) -> list[str]:
    """What it says, without times, rates, the rows that name versions, and the widths that these give to tables."""
    kept = OF_THE_MACHINE.sub(" ", text).splitlines()
    return [line for line in kept if ", torch " not in line and not line.endswith(SLOW_START)]


def lasting(value: Any) -> Any:
    """The value without times, rates and versions, at any depth."""
    if isinstance(value, dict):
        return {key: lasting(inner) for key, inner in value.items() if not LEFT_OUT.search(key)}
    return [lasting(inner) for inner in value] if isinstance(value, list) else value


def differing(where: str, before: Any, after: Any) -> Iterator[str]:
    """A line for each value that is not the same."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from differing(f"{where} {key}", before.get(key, "(none)"), after.get(key, "(none)"))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from differing(f"{where}[{index}]", *pair)
    elif json.dumps(before) != json.dumps(after):  # as JSON: NaN is NaN
        yield f"{where.strip()}: {shortened(before)} is now {shortened(after)}"


def shortened(value: Any) -> str:
    """A value as a line can show it."""
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}..."


if __name__ == "__main__":
    sys.exit(main())
