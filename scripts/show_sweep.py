"""A sweep on Ray that loses a node, against the same sweep on this machine's processes: are the results equal?

    python -m scripts.show_sweep [--base mt10/quick] [--methods mean pcgrad nash_mtl] [--seeds 3] [--steps 30000]

A configuration, cut short, on a local cluster of two nodes of one core each. Once the trials that the second node
trains have a checkpoint each, the node is killed with all its processes. `evaluation.json` is compared but for the
seconds that it took, and the last checkpoint's networks bit for bit. Stopped and called again with the same `--folder`,
it goes on.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from mtrl.report import markdown
from mtrl.runs import checkpoint
from mtrl.runs.claim import attempts
from mtrl.runs.configs import find
from scripts.machine import machine_line
from scripts.ray_cluster import begin_node, local_cluster

_LOOKED_EVERY_S = 0.5


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs both, and prints the table; ends with status 1 if anything differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", type=find, default="mt10/quick", help="a configuration, default mt10/quick")
    parser.add_argument("--methods", nargs="+", default=["mean", "pcgrad", "nash_mtl"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--episodes", type=int, default=2, help="of an evaluation, each task")
    parser.add_argument("--precision", default="bfloat16", help="one for both, as auto measures this machine")
    parser.add_argument("--folder", type=Path, help="of the runs; by default one that is removed")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        path = write(options, folder)
        subprocess.run([*command(path, folder / "local"), "--jobs", "1"], check=True)
        lost = on_two_nodes(path, folder / "ray")
        rows = compared(folder / "local" / "show", folder / "ray" / "show")
    print(markdown(("trial", "attempts on Ray", "evaluation", "networks", "any-step success"), rows))
    print(f"\n{lost}\n\n{machine_line({'ray', 'metaworld', 'mujoco'}, ['cpu'])}")
    sys.exit(any("differ" in cells for cells in rows))


def write(options: argparse.Namespace, folder: Path) -> Path:
    """The file of the sweep."""
    changes = {
        "steps": options.steps,
        "training.compile": False,
        "training.precision": options.precision,
        "training.checkpoint_every_steps": options.steps // 6,
        "evaluation.episodes": options.episodes,
    }
    tree = {"name": "show", "base": str(options.base.absolute()), "methods": options.methods, "seeds": options.seeds}
    path = folder / "show.yaml"
    path.write_text(yaml.safe_dump(tree | {"changes": changes}))
    return path


def command(path: Path, out: Path) -> list[str]:
    """The sweep's command."""
    return [str(Path(sys.executable).with_name("mtrl")), "sweep", str(path), "--out", str(out)]


def on_two_nodes(path: Path, out: Path) -> str:
    """Runs the sweep on a cluster of two nodes and kills one; what was lost, in a sentence."""
    # A node that does not answer is not given up for ten minutes: this one is killed.
    with local_cluster({"health_check_timeout_ms": 120_000, "health_check_failure_threshold": 5}) as cluster:
        node = begin_node(cluster)
        running = subprocess.Popen([*command(path, out), "--engine", "ray", "--address", cluster.address])
        lost: list[str] = []
        while running.poll() is None:
            time.sleep(_LOOKED_EVERY_S)
            if not lost and (lost := begun_on(node, out / "show")):
                cluster.remove_node(node, allow_graceful=False)
    if running.returncode:
        sys.exit(f"the sweep on Ray ended with status {running.returncode}")
    return f"The node that was killed trained {' and '.join(lost)}." if lost else "No node was killed."


def begun_on(node: Any, root: Path) -> list[str]:
    """The trials that a node trains, once each of them has a checkpoint."""
    trained = []
    for place in root.glob("nodes/*"):
        name, _, seed = place.name.rpartition(".")
        if place.read_text() == node.node_id and not (root / name / seed / "evaluation.json").exists():
            trained.append((f"{name}/{seed}", any((root / name / seed / "checkpoints").glob("*.pt"))))
    return [key for key, _ in trained] if all(has for _, has in trained) else []


def compared(one: Path, other: Path) -> list[list[str]]:
    """A row for each run: whether both are equal."""
    rows = []
    for run in sorted(one.glob("*/seed_*")):
        same = other / run.relative_to(one)
        ours, theirs = (json.loads((folder / "evaluation.json").read_text()) for folder in (run, same))
        ours.pop("wall_s")
        theirs.pop("wall_s")
        networks = all(torch.equal(a, b) for a, b in zip(parameters(run), parameters(same), strict=True))
        told = ["equal" if is_equal else "differ" for is_equal in (ours == theirs, networks)]
        rows.append([f"{run.parent.name}/{run.name}", str(attempts(same)), *told, f"{ours['mean']['success_any']:.2f}"])
    return rows


def parameters(run: Path) -> list[torch.Tensor]:
    """The parameters of the networks in the last checkpoint."""
    groups = checkpoint.load_newest(run / "checkpoints")["agent"]["parameters"].values()
    return [tensor for group in groups for tensor in group]


if __name__ == "__main__":
    main()
