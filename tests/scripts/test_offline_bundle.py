"""The bundle for machines without a network installs and trains there."""

import base64
import csv
import hashlib
import os
import shlex
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from scripts.offline_bundle import _lacking, metaworlds_part, requirements
from scripts.prune_wheel import prune_wheel

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "scripts" / "offline_bundle.sh"
TRAIN = shlex.split("""
  train configs/mt10/quick.yaml --steps 600 --env.num_envs_per_task 1 --env.horizon 15 --training.warmup_steps 300
  --training.compile false --training.batch_per_task 4 --training.threads 1 --device cpu
  --agent.actor.width 16 --agent.critic.width 16 --evaluation.episodes 1 --evaluation.horizon 5
""")
THERE = "torch torch-* torchgen functorch sympy mpmath networkx jinja2 markupsafe filelock numpy numpy-* numpy.libs"


def write_wheel(folder: Path) -> Path:
    """A wheel in the layout of EnvPool's, small."""
    about = "envpool-1.2.5.dist-info"
    files = {
        "envpool/__init__.py": "import envpool.entry\n",
        "envpool/entry.py": "# all\nimport envpool.atari\nimport envpool.mujoco.metaworld\n",
        "envpool/atari/__init__.py": "from .atari_envpool import Nothing\n",
        "envpool/atari/atari_envpool.so": "x" * 1000,
        "envpool/mujoco/__init__.py": "",
        "envpool/mujoco/metaworld/__init__.py": "TASKS = ['reach, v3']\n",
        "envpool/mujoco/robotics_envpool.so": "y" * 1000,
        "envpool/mujoco/playground_envpool.so": "z" * 1000,
        "envpool.libs/libEGL-48f.so": "",
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: envpool\nVersion: 1.2.5\n"
        "Requires-Dist: envpool-assets-mujoco-large (<0.4.0)\nRequires-Dist: optree>=0.6\n\n"
        "Requires-Dist: in the text\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": "of,the,old\n",
    }
    wheel = folder / "envpool-1.2.5-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for name, text in files.items():
            file.writestr(name, text)
    return wheel


def test_pruned_wheel_installs_and_imports(tmp_path):
    wheel = write_wheel(tmp_path)
    prune_wheel(wheel, metaworlds_part)
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        record = list(csv.reader(file.read("envpool-1.2.5.dist-info/RECORD").decode().splitlines()))
        for name, digest, size in record[:-1]:
            content = file.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            assert (digest, int(size)) == (f"sha256={expected}", len(content))
        metadata = file.read("envpool-1.2.5.dist-info/METADATA").decode()
    assert {row[0] for row in record} == names
    assert not [name for name in names if "atari" in name or "playground" in name]
    assert "envpool/mujoco/robotics_envpool.so" in names
    assert "envpool.libs/libEGL-48f.so" in names
    assert "mujoco-large" not in metadata
    assert "Requires-Dist: optree" in metadata
    assert metadata.endswith("\n\nRequires-Dist: in the text\n")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(tmp_path / "site")]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    code = "import envpool, sys; print(envpool.mujoco.metaworld.TASKS)"
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )
    assert done.stdout.strip() == "['reach, v3']"


def test_what_an_extra_asks_for_is_of_other_projects():
    asked = requirements("rl")
    assert {"metaworld==3.1.1", "rich>=13.9"} <= set(asked)
    assert not [line for line in asked if line.startswith("mtrl")]


@pytest.mark.parametrize(
    ("python", "lacking"), [("3.11", ["optree>=0.6", "tomli"]), ("3.13", ["optree>=0.6", "audioop"])]
)
def test_what_is_lacking_is_what_the_other_machines_python_asks_for(python, lacking, tmp_path):
    asked = ["NumPy", "two", "optree>=0.6", "tomli; python_version < '3.12'", "pytest; extra == 'dev'"]
    asked += ["audioop; python_full_version >= '3.13.0'"]
    metadata = "".join(f"Requires-Dist: {line}\n" for line in asked)
    for name in ("one", "two"):
        with zipfile.ZipFile(tmp_path / f"{name}-1.0-py3-none-any.whl", "w") as file:
            file.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\n{metadata}\nRequires-Dist: text\n")
    assert [*_lacking(tmp_path / "one-1.0-py3-none-any.whl", python, frozenset({"numpy"}))] == lacking


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--python", "3.10"], "offline_bundle: --python must be one of 3.11, 3.12, 3.13, got 3.10"),
        (["--out", "."], "offline_bundle: . exists: remove it, or choose another --out"),
    ],
)
def test_what_is_wrong_in_one_line(words, line):
    done = subprocess.run([SCRIPT, *words], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr.strip()) == (1, line)


@pytest.mark.slow
def test_bundle_trains_where_there_are_torch_and_numpy_alone(tmp_path):
    bundle, environment = tmp_path / "bundle", tmp_path / "environment"
    subprocess.run([SCRIPT, "--out", bundle], check=True, env=os.environ | {"PYTHON": sys.executable})
    pruned = sum(path.stat().st_size for path in bundle.glob("envpool*.whl"))
    assert pruned < 10e6
    assert not [path for path in bundle.iterdir() if path.name.startswith(("torch-", "numpy-"))]
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    packages, there = Path(sysconfig.get_paths()["purelib"]), tmp_path / "there"
    there.mkdir()
    for name in THERE.split():
        for path in packages.glob(name):
            (there / path.name).symlink_to(path)
    (site,) = (environment / "lib").glob("python*/site-packages")
    (site / "there.pth").write_text(str(there))
    line = (bundle / "README.txt").read_text().split("\n\n")[1].splitlines()[0].strip()
    env = {"PATH": f"{environment}/bin:/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}
    subprocess.run(line, shell=True, check=True, cwd=bundle, env=env)
    for backend in ("metaworld", "envpool"):
        words = [*TRAIN, "--env.backend", backend, "--name", backend, "--out", str(tmp_path)]
        done = subprocess.run(["mtrl", *words], capture_output=True, text=True, cwd=bundle, env=env, check=False)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / backend / "seed_0" / "evaluation.json").exists()
