"""The scripts of `mtrl completion`, in the shells that there are."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mtrl.cli.main import COMMANDS, main


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def completed(text: str, *words: str) -> list[str]:
    """What bash offers for the last word."""
    arguments = " ".join(f"'{word}'" for word in ("mtrl", *words))
    ask = f'{text}\nCOMP_WORDS=({arguments}); COMP_CWORD={len(words)}; _mtrl; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout.split()


def test_bash_completes_commands_options_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    text = script("bash", capsys)
    assert completed(text, "tr") == ["train"]
    assert completed(text, "") == [*COMMANDS]
    assert completed(text, "train", "--agent.critic.wi") == ["--agent.critic.width"]
    assert completed(text, "train", "mt10/quick", "--res") == ["--resume"]
    assert "mt10/quick" in completed(text, "train", "mt10/q")
    assert completed(text, "train", "mt10/quick", "--method.name", "nash") == ["nash_mtl"]
    assert completed(text, "train", "mt10/quick", "--env.backend", "") == ["metaworld", "envpool"]
    assert completed(text, "train", "mt10/quick", "--track", "t") == ["true", "tensorboard"]
    assert completed(text, "train", "mt10/quick", "--track", "--see") == ["--seeds"]
    assert completed(text, "supervised", "--optimizer.name", "a") == ["adam"]
    assert completed(text, "evaluate", "--protocol", "") == ["modern", "legacy"]
    assert completed(text, "record", "runs/mt10", "--ca") == ["--camera"]
    assert completed(text, "sweep", "--dry") == ["--dry-run"]
    assert completed(text, "sweep", "sweeps/mt10-m") == ["sweeps/mt10-methods"]
    assert completed(text, "train", "sweeps/") == []
    assert completed(text, "configs", "co") == ["copy"]
    assert completed(text, "configs", "copy", "mt1/") == ["mt1/reach"]
    assert [completed(text, command, "mt") for command in ("evaluate", "record", "export")] == [["mt10/laptop"]] * 3
    assert completed(text, "completion", "nothing") == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_others_have_every_option_too(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    assert "agent.critic.width" in text
    assert "envpool" in text
    assert all(command in text for command in COMMANDS)
    if shutil.which(shell):
        (tmp_path / "script").write_text(text)
        done = subprocess.run([shell, "-n", str(tmp_path / "script")], capture_output=True, text=True, check=True)
        assert not done.stderr
    elif shell == "fish":  # at least every quote of its lines is closed
        lines = [line.replace("\\'", "") for line in text.splitlines()]
        assert all(line.startswith("complete -c mtrl -n ") and line.count("'") % 2 == 0 for line in lines)


def test_another_shell_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
