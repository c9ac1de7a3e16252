"""`mtrl record`: films of the episodes that evaluation plays."""

import os
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mtrl import envs
from mtrl.agents import Config, Learner, record_episodes
from mtrl.cli import replays
from mtrl.cli.main import main
from mtrl.envs.metaworld import graphics
from mtrl.envs.metaworld.recorded_episode import Episode
from mtrl.runs import checkpoint
from mtrl.runs.errors import UserError
from mtrl.runs.folder import save_config
from mtrl.runs.identity import identity

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="the extra video is not installed")
film = pytest.importorskip("mtrl.envs.metaworld.film")

TASKS, HORIZON, SIZE, SEED = ("reach-v3", "push-v3"), 12, 64, 4
COMMAND = "import sys; from mtrl.cli.main import main; sys.exit(main())"


def write_untrained_run(folder: Path, seed: int) -> Path:
    network = {"kind": "residual", "width": 16, "depth": 1}
    config = Config.model_validate(
        {
            "env": {"tasks": TASKS, "goals_visible": False, "one_hot": True, "goal_seed": 9},
            "method": {"name": "mean"},
            "agent": {"actor": network, "critic": network, "num_atoms": 21},
            "training": {"precision": "float32"},
            "evaluation": {"horizon": HORIZON},
        }
    )
    sizes = envs.OBSERVATION_SIZE + len(TASKS), envs.ACTION_SIZE
    agent = Learner(config, len(TASKS), *sizes, torch.device("cpu"), (seed,))
    run = folder / f"seed_{seed}"
    checkpoint.save(run / "checkpoints", 3000, {"step": 3000, "agent": agent.state_dict(0)}, identity(config, seed))
    save_config(run, config, seed)
    return run


@pytest.fixture(scope="module")
def drawing() -> str:
    try:
        return graphics.choose()
    except graphics.GraphicsError as error:
        pytest.skip(str(error))


def record(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", COMMAND, "record", *map(str, words), "--size", str(SIZE), "--device", "cpu"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def recorded(drawing: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Six episodes of each task: three environments, two rounds."""
    folder = tmp_path_factory.mktemp("run")
    write_untrained_run(folder, SEED)
    done = record(folder, "--episodes", 6)
    assert done.returncode == 0, done.stderr
    return folder / f"seed_{SEED}" / "videos" / "step_3000", done


def read(path: Path) -> tuple[dict, np.ndarray]:
    reader = imageio_ffmpeg.read_frames(str(path))
    about = next(reader)
    width, height = about["size"]
    return about, np.stack([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader])


def test_a_film_per_task_and_goal(recorded: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, done = recorded
    films = [f"{task}_goal_{goal:02}.mp4" for task in TASKS for goal in range(6)]
    assert sorted(path.name for path in out.iterdir()) == sorted([*films, "contact_sheet.png"])
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [str(out / name) for name in [*films, "contact_sheet.png"]]
    assert all("success" in line and "return" in line for line in lines[:-1])


def test_a_film_has_every_step_upright(recorded: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    about, frames = read(recorded[0] / "push-v3_goal_05.mp4")
    assert frames.shape == (HORIZON, SIZE, SIZE, 3)
    assert about["fps"] == 80
    for frame in frames[[0, -1]]:
        corner = SIZE // 8
        background, table = frame[:corner, -corner:], frame[-corner:, -corner:]
        assert 60 < background.mean() < 200
        assert background.std(axis=(0, 1)).max() < 5  # the empty background above, the wooden table below
        red, blue = table[..., 0].astype(int), table[..., 2].astype(int)
        assert (red - blue).mean() > 10
    assert (frames[0] != frames[-1]).any()


def test_the_sheet_has_a_row_per_film(recorded: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    with Image.open(recorded[0] / "contact_sheet.png") as page:
        pixels = np.asarray(page.convert("L"))
    assert pixels.shape[0] > 12 * 160
    rows = pixels[-12 * 166 :].reshape(12, 166, -1)
    assert (rows[:, :160, 300:1300].mean((1, 2)) < 230).all()  # pictures
    assert (rows[:, :160, :270].min((1, 2)) < 120).all()  # text


def test_nothing_is_overwritten(recorded: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, _ = recorded
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    again = record(out.parents[1])
    assert again.returncode == 2
    assert again.stderr == f"mtrl record: error: {out / 'reach-v3_goal_00.mp4'} exists: --out chooses another folder\n"
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_another_episode_is_noticed(drawing: str, tmp_path: Path) -> None:
    """A film shows what was evaluated or is not made."""
    script = f"""
import numpy as np
from pathlib import Path
from mtrl.envs.metaworld.film import shoot
from mtrl.envs.metaworld.recorded_episode import Episode
path = Path({str(tmp_path)!r}) / "a.mp4"
goal = np.array([0.0, 0.65, 0.02, 0.05, 0.85, 0.1])
shoot(Episode("reach-v3", 3, goal, "v2", np.zeros((4, 4), np.float32), np.ones(39), path), "corner", 16, 2)
"""
    environment = os.environ | {"MUJOCO_GL": drawing, "PYTHONPATH": str(Path(envs.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert "RuntimeError: the replay of reach-v3, goal 3, is another episode" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("steps", [40, 2_000], ids=["at its end", "while it is made"])
def test_a_disk_that_takes_no_more_is_one_line_and_leaves_nothing(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    shot = SimpleNamespace(picture=noise, obs=np.zeros(39), success=False, reward=0.0)
    monkeypatch.setattr(film, "stock_environment", lambda *_: None)
    monkeypatch.setattr(film, "replay", lambda env, actions, **_: (shot for _ in actions))
    goal, obs = np.zeros(6), np.zeros(39)
    episode = Episode("reach-v3", 3, goal, "v2", np.zeros((steps, 4)), obs, tmp_path / "new" / "a.mp4")
    monkeypatch.setattr(replays, "_run_all", lambda what, function, arguments: [function(*each) for each in arguments])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    episode.path.parent.mkdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))  # bytes of a file, for this process and its own
    try:
        with pytest.raises(UserError, match=rf"^{episode.path} cannot be written: ffmpeg: .*$"):
            replays.shoot_all([episode], "corner", 64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
    episode.path.parent.mkdir()
    assert len(replays.shoot_all([episode._replace(actions=np.zeros((9, 4)))], "corner", 64)[0].stills) > 1
    assert read(episode.path)[1].shape == (9, 64, 64, 3)


def test_the_drawing_processes_do_without_torch() -> None:
    code = "import sys; import mtrl.envs.metaworld.film; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("", "the following arguments are required: RUN"),
        ("nowhere.d", "nowhere.d is no folder"),
        ("a --episodes 0", "--episodes must be at least 1, got 0"),
        ("a --episodes 51", "--episodes must be at most 50, the run's goals of a task, got 51"),
        ("a --size 33", "--size must be an even number from 16 to 2048, got 33"),
        (
            "a --camera front",
            "--camera must be one of corner4, corner, corner2, corner3, topview, behindGripper, gripperPOV, got front",
        ),
        ("a --seed 3", "--seed 3: a has seed_0, seed_1"),
    ],
)
def test_failures_are_one_line(
    words: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in range(2):
        folder = Path("a") / f"seed_{seed}"
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("name: a")
    assert main(["record", *words.split()]) == 2
    assert capsys.readouterr().err == f"mtrl record: error: {line}\n"


def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_untrained_run(tmp_path, 0)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(graphics, "_TRY", "raise ImportError('none')")
    assert main(["record", str(run)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mtrl record: error: drawing without a screen needs the system packages libegl1 and")
    assert error.count("\n") == 1
    monkeypatch.setattr("mtrl.cli.record.find_spec", lambda name: None)
    assert main(["record", str(run)]) == 2
    assert capsys.readouterr().err == (
        "mtrl record: error: mtrl record needs imageio-ffmpeg: pip install 'mtrl-torch[video]'\n"
    )


def test_episodes_as_data_sets_of_minari(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    minari = pytest.importorskip("minari")
    run = write_untrained_run(tmp_path, SEED)
    assert main(["record", str(run), "--minari", "--episodes", "2", "--device", "cpu"]) == 0
    *lines, root = capsys.readouterr().out.splitlines()
    out = run / "minari" / "step_3000"
    assert root == f"MINARI_DATASETS_PATH={out}"
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(out))
    assert sorted(minari.list_local_datasets()) == [f"mtrl/{task}/policy-v0" for task in sorted(TASKS)]
    recording = record_episodes(run, episodes=2, device="cpu")
    for t, task in enumerate(TASKS):
        data = minari.load_dataset(f"mtrl/{task}/policy-v0")
        assert (data.total_episodes, data.total_steps) == (2, 2 * HORIZON)
        for n, episode in enumerate(data.iterate_episodes()):
            assert np.array_equal(episode.actions, recording.actions[t, n])
            assert episode.observations.shape == (HORIZON + 1, envs.OBSERVATION_SIZE)
            assert np.allclose(episode.observations[HORIZON - 1, :18], recording.last_obs[t, n, :18], atol=1e-6)
            assert np.any(episode.observations[:, 36:39])  # the goal, which the policy did not see
            assert episode.rewards.sum() == pytest.approx(recording.result.returns[t, n])
            assert episode.truncations.tolist() == [False] * (HORIZON - 1) + [True]
            assert not episode.terminations.any()
            success = episode.infos["success"]
            assert (success.any(), success[-1]) == (
                recording.result.success_any[t, n],
                recording.result.success_final[t, n],
            )
        mean = recording.result.returns[t].mean()
        assert f"mtrl/{task}/policy-v0: 2 episodes, mean return {mean:,.0f}" in lines
    assert main(["record", str(run), "--minari", "--device", "cpu"]) == 2
    assert capsys.readouterr().err == f"mtrl record: error: {out} exists: --out chooses another folder\n"


def test_minari_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mtrl.cli.record.find_spec", lambda name: None)
    assert main(["record", str(write_untrained_run(tmp_path, 0)), "--minari"]) == 2
    line = "mtrl record --minari needs minari: pip install 'mtrl-torch[minari]'"
    assert capsys.readouterr().err == f"mtrl record: error: {line}\n"
