"""The drawing of the toy problem, as a user makes it."""

import struct
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "toy.py"


def draw(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=120)


def test_a_panel_per_method_and_scale(tmp_path: Path) -> None:
    out = tmp_path / "new"
    done = draw("nash_mtl", "mean", "grad_drop", "--steps", "20", "--out", str(out))
    assert done.returncode == 0, done.stderr
    pictures = [out / "toy.png", out / "toy_paths.png"]
    assert done.stdout.splitlines() == [str(picture) for picture in pictures]
    for picture in pictures:
        data = picture.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = struct.unpack(">II", data[16:24])
        assert (width, height) == (150 * 10, round(150 * 6.1))  # three columns and two rows of panels


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    for method, why in (("nash", "unknown method 'nash': did you mean 'nash_mtl'?"), ("moco", "side by side")):
        done = draw(method, "--out", str(tmp_path))
        assert done.returncode == 2
        assert why in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
