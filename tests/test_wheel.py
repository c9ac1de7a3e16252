"""The wheel, installed into an environment where another package owns `agents` and `envs`, from an empty folder.

The environment has what this one has beside the project: nothing is downloaded.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.offline_bundle import build_own

ROOT = Path(__file__).parent.parent
TRAIN = shlex.split("""
  train mt10/quick --env.tasks Points --env.horizon 20 --env.num_envs_per_task 2 --env.num_workers 1 --steps 960
  --agent.actor.width 16 --agent.critic.width 16 --agent.num_atoms 21
  --training.warmup_steps 160 --training.updates_per_vector_step 1 --training.batch_per_task 8
  --training.log_every_steps 320 --training.compile false --training.threads 1 --training.precision float32
  --evaluation.episodes 2 --evaluation.horizon 20 --device cpu
""")
TOY = shlex.split("supervised supervised/toy --epochs 2 --benchmark.steps_per_epoch 20 --threads 1 --device cpu")


class Installation(NamedTuple):
    """The wheel, and the environment that has it."""

    wheel: Path
    bin: Path
    site: Path

    def run(self, words: list[str], folder: Path) -> str:
        """What a command of the environment prints."""
        env = {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.wheel.parent), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [self.bin / words[0], *words[1:]], cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def write_another(folder: Path) -> Path:
    """A package that owns `agents` and `envs`, as some on the index do."""
    files = {
        "agents/__init__.py": "OWNER = 'another'\n",
        "envs/__init__.py": "OWNER = 'another'\n",
        "another-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: another\nVersion: 1.0\n",
        "another-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "another-1.0.dist-info/RECORD": "",
    }
    wheel = folder / "another-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for name, text in files.items():
            file.writestr(name, text)
    return wheel


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("wheel")
    build_own(folder, "--no-index", "--no-build-isolation")
    (wheel,) = folder.glob("mtrl_torch-*.whl")
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (site,) = (environment / "lib").glob("python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install", "--quiet"]
    wheels = [str(write_another(folder)), str(wheel)]
    clean = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([*pip, "--no-deps", "--no-index", "--no-compile", *wheels], check=True, env=clean)
    # Torch and the others. What a .pth file in there says, an editable installation of this project, is not read.
    (site / "there.pth").write_text(sysconfig.get_paths()["purelib"])
    return Installation(wheel, environment / "bin", site)


def test_it_owns_one_name_at_the_top(installed: Installation) -> None:
    with zipfile.ZipFile(installed.wheel) as file:
        names = file.namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"mtrl", "mtrl_torch"}
    sources = [path for folder in ("mtrl", "agents", "envs", "configs") for path in (ROOT / folder).rglob("*.*")]
    missing = {path.relative_to(ROOT).as_posix() for path in sources if "__pycache__" not in path.parts} - set(names)
    assert not {name for name in missing if f"mtrl/{name}" not in names}
    assert "mtrl/py.typed" in names


def test_it_lives_beside_a_package_that_owns_agents(installed: Installation, tmp_path: Path) -> None:
    code = (
        "import agents, envs, mtrl, mtrl.agents, mtrl.envs\n"
        "print(agents.OWNER, envs.OWNER, mtrl.agents.MultiTaskSAC.__module__, mtrl.__version__, mtrl.__file__)"
    )
    *said, file = installed.run(["python", "-c", code], tmp_path).split()
    version = installed.wheel.name.split("-")[1]
    assert said == ["another", "another", "mtrl.agents.model", version]
    assert Path(file).is_relative_to(installed.site)


def test_configurations_come_with_it(installed: Installation, tmp_path: Path) -> None:
    assert "mt10/quick  " in installed.run(["mtrl", "configs"], tmp_path)
    assert installed.run(["mtrl", "configs", "copy", "mt10/quick", "."], tmp_path) == "quick.yaml\n"
    assert (tmp_path / "quick.yaml").read_bytes() == (ROOT / "configs" / "mt10" / "quick.yaml").read_bytes()


def test_it_trains_from_an_empty_folder(installed: Installation, tmp_path: Path) -> None:
    installed.run(["mtrl", *TRAIN], tmp_path)
    assert (tmp_path / "runs" / "mt10-quick" / "seed_0" / "evaluation.json").exists()
    assert (tmp_path / "runs" / "mt10-quick" / "report" / "index.html").exists()
    installed.run(["mtrl", *TOY], tmp_path)
    assert (tmp_path / "runs" / "toy" / "seed_0" / "evaluation.json").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
