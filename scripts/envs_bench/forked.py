"""Forked workers: with stock environments stepped together, and with MuJoCo alone, which is the limit."""

import mmap
import multiprocessing
import pickle
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import mujoco
import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from metaworld.types import Task

from mtrl.envs import MT10
from mtrl.envs.goals import benchmark_goals
from scripts.envs_bench.row import OneCall, Stepped

_HORIZON = 500
_FRAME_SKIP = 5
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_FORK = multiprocessing.get_context("fork")


def _stock(task: str, goal: np.ndarray) -> SawyerXYZEnv:
    cls = ALL_V3_ENVIRONMENTS[task]
    env = cls()
    env.set_task(Task(task, pickle.dumps({"env_cls": cls, "rand_vec": goal, "partially_observable": False})))
    env.reset()
    return env


class _Workers:
    """Processes with some of the environments each: neighbours, so few tasks in a worker.

    Args:
        serve: runs in each, with its end of a pipe, its environments and what is given.
        size: environments.
        workers: at most so many.
        given: see `serve`.
    """

    def __init__(self, serve: Callable[..., None], size: int, workers: int, *given: Any) -> None:
        self._channels: list[Connection] = []
        self._processes = []
        for rows in np.array_split(np.arange(size), min(workers, size)):
            ours, theirs = _FORK.Pipe()
            process = _FORK.Process(target=serve, args=(theirs, rows, *given), daemon=True)
            process.start()
            self._channels.append(ours)
            self._processes.append(process)
        for channel in self._channels:
            channel.recv_bytes()

    def close(self) -> None:
        """See `Row.close`."""
        for process in self._processes:
            process.terminate()
            process.join()


def stock_environments(size: int, workers: int) -> OneCall:
    """Several stock environments in each worker, actions and observations in shared memory."""
    return OneCall(_StockEnvironments(size, workers), size)


class _StockEnvironments(_Workers):
    def __init__(self, size: int, workers: int) -> None:
        self._memory = np.frombuffer(mmap.mmap(-1, size * 44 * 8)).reshape(size, 44)
        super().__init__(_serve_stock, size, workers, self._memory, benchmark_goals(MT10, 0))

    def reset(self) -> None:
        """The workers have done so."""

    def step(self, actions: np.ndarray) -> None:
        self._memory[:, :4] = actions
        for channel in self._channels:
            channel.send_bytes(b"s")
        for channel in self._channels:
            channel.recv_bytes()
        self._memory[:, 4:].copy()


def _serve_stock(channel: Connection, rows: np.ndarray, memory: np.ndarray, goals: tuple[np.ndarray, ...]) -> None:
    per_task = len(memory) // 10
    envs = [_stock(MT10[row // per_task], goals[row // per_task][0]) for row in rows]
    channel.send_bytes(b"d")
    while channel.recv_bytes():
        for row, env in zip(rows, envs, strict=True):
            obs, reward, _, truncated, _ = env.step(memory[row, :4].astype(np.float32))
            memory[row, 4:43], memory[row, 43] = obs, reward
            if truncated:
                memory[row, 4:43] = env.reset()[0]
        channel.send_bytes(b"d")


class PhysicsAlone(_Workers):
    """The C limit: five `mj_step` and an `mj_forward` a step in independent processes, nothing gathered or awaited.

    The hand follows a random walk. After 500 steps the state after the reset is copied back, which costs nothing.
    """

    def __init__(self, size: int, workers: int) -> None:
        super().__init__(_serve_physics, size, workers, size // 10, benchmark_goals(MT10, 0))

    def run(self, seconds: float) -> Stepped:
        """See `Row.run`."""
        for channel in self._channels:
            channel.send(seconds)
        done = [channel.recv() for channel in self._channels]
        # A process that gets less of a core than the others counts with what it did.
        return Stepped(round(sum(steps / took for steps, took in done) * seconds), seconds)


def _serve_physics(channel: Connection, rows: np.ndarray, per_task: int, goals: tuple[np.ndarray, ...]) -> None:
    tasks = rows // per_task
    stocks = {task: _stock(MT10[task], goals[task][0]) for task in set(tasks.tolist())}
    starts = [_state(stocks[task]) for task in tasks]
    models = [stocks[task].model for task in tasks]
    datas = [mujoco.MjData(model) for model in models]
    walks = [_walk(stocks[task], number) for number, task in enumerate(tasks)]
    efforts = np.random.default_rng(1).uniform(-1, 1, _HORIZON)
    step = _HORIZON
    channel.send_bytes(b"d")
    while True:
        seconds, calls = channel.recv(), 0
        start = now = time.perf_counter()
        while calls == 0 or now - start < seconds:
            if step == _HORIZON:
                step = 0
                for model, data, first in zip(models, datas, starts, strict=True):
                    mujoco.mj_setState(model, data, first, _STATE)
            effort = efforts[step]
            for model, data, walk in zip(models, datas, walks, strict=True):
                data.mocap_pos[0] = walk[step]
                data.ctrl[:] = effort, -effort
                mujoco.mj_step(model, data, _FRAME_SKIP)
                mujoco.mj_forward(model, data)
            step += 1
            calls += 1
            now = time.perf_counter()
        channel.send((calls * len(datas), now - start))


def _state(env: SawyerXYZEnv) -> np.ndarray:
    state = np.empty(mujoco.mj_stateSize(env.model, _STATE))
    mujoco.mj_getState(env.model, env.data, state, _STATE)
    return state


def _walk(env: SawyerXYZEnv, seed: int) -> np.ndarray:
    """Positions of the hand's target under random actions, `[500, 3]`."""
    moves = np.random.default_rng(seed).uniform(-1, 1, (_HORIZON, 3)) * env.action_scale
    place, walk = env.data.mocap_pos[0].copy(), []
    for move in moves:
        place = np.clip(place + move, env.mocap_low, env.mocap_high)
        walk.append(place)
    return np.array(walk)
