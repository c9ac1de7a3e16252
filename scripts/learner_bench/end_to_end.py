"""Whole training runs, some seconds long: simulation, updates, replay, checkpoints; and stable-baselines3's SAC."""

import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from mtrl import envs
from mtrl.agents import Config, train
from mtrl.agents.environments import training_env
from mtrl.cli.arguments import load_config
from mtrl.cores import available_cores
from mtrl.envs import views
from mtrl.runs.events import Event
from mtrl.runs.section import MethodConfig

ROOT = Path(__file__).parents[2]
VECTOR_STEPS = 300
"""Of environments alone."""
Row = dict[str, Any]


def training(config_file: str, method: str, num_seeds: int, device: str, vector_steps: int) -> Row:
    """A run of a configuration: the rates and the shares of time between its first and its last update.

    Args:
        config_file: under `configs/`.
        method: of aggregation.
        num_seeds: trained side by side.
        device: of the learner.
        vector_steps: to measure, after as many for the warm-up and the compiling.
    """
    config: Config = load_config(ROOT / "configs" / config_file, Config)
    num_envs = len(envs.task_names(config.env.tasks)) * config.env.num_envs_per_task
    settings = {"warmup_steps": 20 * num_envs, "log_every_steps": num_envs * vector_steps}
    changes = {
        "method": MethodConfig(name=method),
        "training": config.training.model_copy(update=settings),
        "seeds": tuple(range(num_seeds)),
        "device": device,
        "steps": 3 * vector_steps * num_envs,
    }
    events: list[Event] = []
    with tempfile.TemporaryDirectory() as folder:
        folders = {seed: Path(folder) / str(seed) for seed in range(num_seeds)}
        train(config.model_copy(update=changes), folders, on_event=lambda event, seed: events.append(event))
    last = [event for event in events if event["kind"] == "train"][-1]
    return {
        "method": method,
        "config": config_file,
        "device": device,
        "precision": next(event["precision"] for event in events if event["kind"] == "start"),
        "num_seeds": num_seeds,
        "updates_per_s": last["updates_per_s"],
        "steps_per_s": last["steps_per_s"],
        "time_share": last["time_share"],
        "simulation_alone_ms": simulation_ms(config),
        "vector_step_ms": 1000 * num_envs / last["steps_per_s"],
    }


def simulation_ms(config: Config) -> float:
    """Milliseconds of a vector step of the run's environments with nothing beside them."""
    with training_env(config.env, 0, available_cores()) as env:
        env.reset()
        actions = [env_actions(env, step) for step in range(VECTOR_STEPS)]
        start = time.perf_counter()
        for action in actions:
            env.step(action)
        return 1000 * (time.perf_counter() - start) / VECTOR_STEPS


def env_actions(env: envs.VectorEnv, seed: int) -> np.ndarray:
    """Uniform actions `[T, E, A]`."""
    shape = len(env.tasks), env.num_envs_per_task, env.action_size
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def stable_baselines3(steps: int, device: str) -> Row:
    """stable-baselines3's SAC with its defaults (256 rows, two layers of 256) on one task, one environment."""
    from stable_baselines3 import SAC

    with closing(views.as_stable_baselines3(envs.make("MT1:reach-v3", num_envs_per_task=1, horizon=200))) as env:
        model = SAC("MlpPolicy", env, learning_starts=100, seed=0, device=device)
        model.learn(200)
        start = time.perf_counter()
        model.learn(steps, reset_num_timesteps=False)
        seconds = time.perf_counter() - start
    return {
        "method": "stable_baselines3_sac",
        "config": "MT1:reach-v3",
        "device": device,
        "precision": "float32",
        "num_seeds": 1,
        "updates_per_s": steps / seconds,
        "steps_per_s": steps / seconds,
    }
