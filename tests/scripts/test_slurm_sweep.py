"""The script for Slurm, with a scheduler that shows what it is asked; `tests/sweep/test_ray.py` carries a sweep out."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts/slurm_sweep.sh"


def submitted(commands: Path, job: dict[str, str]) -> subprocess.CompletedProcess[str]:
    for name, text in {"scontrol": "echo first; seq 100000", "srun": "printf '%s\\n' \"$@\""}.items():
        (commands / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (commands / name).chmod(0o755)
    env = {name: text for name, text in os.environ.items() if not name.startswith("SLURM_")}
    env |= job | {"PATH": f"{commands}:{os.environ['PATH']}"}
    words = ["bash", str(SCRIPT), "a sweep.yaml", "--out", "/shared/my runs"]
    return subprocess.run(words, check=False, env=env, capture_output=True, text=True)


def test_each_node_gets_the_cores_that_the_job_has_there(tmp_path: Path) -> None:
    job = {"SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_NUM_NODES": "2", "SLURM_CPUS_PER_TASK": "32"}
    words = submitted(tmp_path, job).stdout.splitlines()
    of_srun, of_ray = words[: words.index("ray")], words[words.index("ray") : words.index("--")]
    assert of_srun == ["--nodes=2", "--ntasks=2", "--cpus-per-task=32"]
    assert of_ray[of_ray.index("--num-cpus") + 1] == "32"
    assert of_ray[of_ray.index("--address") + 1] == "first:6379"
    command = ["mtrl", "sweep", "a sweep.yaml", "--out", "/shared/my runs", "--engine", "ray", "--address", "auto"]
    assert words[words.index("--") + 1 :] == command


def test_outside_of_a_job_it_is_one_line(tmp_path: Path) -> None:
    done = submitted(tmp_path, {})
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert line.endswith("SLURM_JOB_NODELIST: is what Slurm sets in a job: submit this script with sbatch")
