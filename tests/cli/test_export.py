"""`mtrl export`: what it prints is what runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from mtrl.cli import export
from mtrl.cli.main import main
from tests.agents.test_agent_export import write_run


def test_files_and_examples_that_run_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The example runs in a process that cannot import this project."""
    write_run(tmp_path / "run" / "seed_3")
    assert main(["export", str(tmp_path / "run")]) == 0
    out = tmp_path / "run" / "seed_3" / "export"
    onnx, program = capsys.readouterr().out.split(f"{out}/policy.pt2\n")
    assert f"{out}/policy.onnx" in onnx
    for text in (onnx, program):
        example = "\n".join(line.strip() for line in text.splitlines() if line.startswith("    "))
        code = f"{example}\nimport sys; print(action.shape, {{'agents', 'mtrl'}} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.replace("torch.Size([1, 4])", "(1, 4)").strip() == "(1, 4) set()"


def test_one_format_elsewhere_and_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "seed_3")
    command = ["export", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main([*command, "--format", "torch"]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["policy.pt2"]
    assert main([*command, "--seed", "4"]) == 2
    assert f"--seed 4: {tmp_path} has seed_3" in capsys.readouterr().err
    monkeypatch.setattr("mtrl.agents.export.find_spec", lambda name: None)
    assert main(command) == 2
    error = capsys.readouterr().err
    assert error.splitlines() == [
        "mtrl export: error: ONNX needs onnx and onnxscript: pip install 'mtrl-torch[export]'; "
        "--format torch needs nothing"
    ]
    assert export.FORMATS == ("onnx", "torch")
