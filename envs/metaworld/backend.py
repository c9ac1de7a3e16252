"""The vector environment over worker processes.

Axes: T tasks, E environments per task, O observation, A action. Row `t * E + e` of the shared memory is
environment e of task t.
"""

import importlib.metadata
import os
import weakref
import zlib
from collections.abc import Mapping
from types import TracebackType
from typing import Self, final

import numpy as np

from envs.actions import checked_actions
from envs.catalog import CATALOG
from envs.episodes import Episodes
from envs.goals import GoalOrder, goal_indices
from envs.interface import ACTION_SIZE, OBSERVATION_SIZE, SimulatorInfo, Step
from envs.metaworld import commands, rows
from envs.metaworld.assignment import available_cores, balanced
from envs.metaworld.process import Specification, Worker
from envs.phase import Phase


@final
class MetaworldEnv:
    """Stock metaworld: its physics, its 50 goals per task, its V2 rewards, bit for bit (`VectorEnv`)."""

    observation_size = OBSERVATION_SIZE
    action_size = ACTION_SIZE

    def __init__(
        self,
        tasks: tuple[str, ...],
        num_envs_per_task: int,
        seed: int,
        horizon: int,
        goal_order: GoalOrder,
        num_workers: int,
    ) -> None:
        """Start the workers and wait for their simulators; arguments as `envs.make` checked them."""
        self.tasks = tasks
        self.num_envs_per_task = num_envs_per_task
        self.horizon = horizon
        self.simulator = _simulator_info(goal_order)
        self._seed = seed
        self._goal_order = goal_order
        self._shape = (len(tasks), num_envs_per_task)
        self._episodes = Episodes(*self._shape, horizon)
        self._actions = np.zeros((horizon, *self._shape, ACTION_SIZE), dtype=np.float32)
        self._phase = Phase.NEW

        count = len(tasks) * num_envs_per_task
        memory = rows.create(count)
        self._rows = rows.attach(memory, count).reshape(self._shape)
        self._workers: list[Worker] = []
        # Runs at close(), when the environment is forgotten, and at the interpreter's exit.
        self._shut_down = weakref.finalize(self, _shut_down, self._workers)
        try:
            for spec in _specifications(tasks, num_envs_per_task, seed, num_workers):
                self._workers.append(Worker(spec, memory))
        finally:
            os.close(memory)
        self._waiting = list(self._workers)
        self._wait()

    def reset(self) -> np.ndarray:
        """See `VectorEnv.reset`."""
        self._phase.require("reset()", Phase.NEW, Phase.READY)
        self._episodes.start(self._episodes.number + 1)
        self._command(commands.RESET, episode=self._episodes.number)
        self._wait()
        self._phase = Phase.READY
        return self._rows["obs"].copy()

    def send(self, actions: np.ndarray) -> None:
        """See `VectorEnv.send`."""
        self._phase.require("send()", Phase.READY)
        actions = checked_actions(actions, self.tasks, self.num_envs_per_task)
        self._actions[self._episodes.length] = actions
        self._rows["action"] = actions
        self._phase = Phase.STEPPING
        if self._episodes.next_step_is_last:
            self._command(commands.STEP_AND_RESET, episode=self._episodes.number + 1)
        else:
            self._command(commands.STEP)

    def recv(self) -> Step:
        """See `VectorEnv.recv`."""
        self._phase.require("recv()", Phase.STEPPING)
        self._wait()
        self._phase = Phase.READY
        return self._episodes.record(
            obs=self._rows["obs" if self._episodes.next_step_is_last else "next_obs"].copy(),
            next_obs=self._rows["next_obs"].copy(),
            reward=self._rows["reward"].copy(),
            success=self._rows["success"].copy(),
        )

    def step(self, actions: np.ndarray) -> Step:
        """See `VectorEnv.step`."""
        self.send(actions)
        return self.recv()

    def state_dict(self) -> dict[str, np.ndarray]:
        """The running episode's number and its actions so far: `load_state_dict` replays them.

        Resets of Meta-World do not depend on what was before and MuJoCo is deterministic, so that this is
        exact. Copying attributes would not be: some of metaworld's are live views of simulator memory.
        """
        self._phase.require("state_dict()", Phase.READY)
        return {
            "make": self._fingerprint(),
            "episode": np.array(self._episodes.number),
            "actions": self._actions[: self._episodes.length].copy(),
        }

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> np.ndarray:
        """Replay the saved episode; everything that follows is bit-equal. See `VectorEnv.load_state_dict`."""
        self._phase.require("load_state_dict()", Phase.NEW, Phase.READY)
        expected = {"make", "episode", "actions"}
        if set(state) != expected:
            raise ValueError(f"state must have the entries {sorted(expected)}, got {sorted(state)}")
        if int(state["make"]) != int(self._fingerprint()):
            raise ValueError(
                "state was saved by another make(): tasks, num_envs_per_task, seed, horizon and goal_order "
                "must be the same"
            )
        self._episodes.start(int(state["episode"]) - 1)
        obs = self.reset()
        for actions in state["actions"]:
            obs = self.step(actions).obs
        return obs

    def close(self) -> None:
        """See `VectorEnv.close`."""
        self._phase = Phase.CLOSED
        self._shut_down()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the workers."""
        return tuple(member.pid for member in self._workers)

    def _command(self, command: bytes, episode: int | None = None) -> None:
        """Give every worker a command; one that resets needs the number of the episode that it begins."""
        if episode is not None:
            self._rows["goal"] = goal_indices(self._goal_order, self._seed, self.tasks, self._shape[1], episode)
        try:
            for member in self._workers:
                member.send(command)
        except RuntimeError:
            self.close()
            raise
        self._waiting = list(self._workers)

    def _wait(self) -> None:
        """Wait for those that have not answered yet; can be called again after an interruption."""
        try:
            while self._waiting:
                self._waiting[-1].wait()
                self._waiting.pop()
        except RuntimeError:
            self.close()
            raise

    def _fingerprint(self) -> np.ndarray:
        made = (self.tasks, self.num_envs_per_task, self._seed, self.horizon, self._goal_order)
        return np.array(zlib.crc32(repr(made).encode()))


def _specifications(tasks: tuple[str, ...], num_envs_per_task: int, seed: int, num_workers: int) -> list[Specification]:
    """What each worker simulates; `num_workers` 0 means one per core."""
    row_tasks = [task for task in range(len(tasks)) for _ in range(num_envs_per_task)]
    count = len(row_tasks)
    assignment = balanced(
        [CATALOG[tasks[task]].cost_us for task in row_tasks], min(num_workers or available_cores(), count)
    )
    return [
        {
            "tasks": tasks,
            "seed": seed,
            "count": count,
            "rows": of_worker,
            "row_tasks": [row_tasks[row] for row in of_worker],
        }
        for of_worker in assignment
    ]


def _simulator_info(goal_order: GoalOrder) -> SimulatorInfo:
    packages = ("metaworld", "mujoco")
    try:
        versions = {name: importlib.metadata.version(name) for name in packages}
    except importlib.metadata.PackageNotFoundError as error:
        raise ModuleNotFoundError(
            f"backend='metaworld' needs {error.name}: pip install 'mtrl[rl]'", name=error.name
        ) from None
    choice = {"random": "one drawn uniformly per episode", "cycle": "visited in turn"}[goal_order]
    return SimulatorInfo(
        backend="metaworld",
        versions=versions,
        goals=f"the benchmark's 50 per task, {choice}",
        reward="Meta-World V2",
    )


def _shut_down(workers: list[Worker]) -> None:
    for member in workers:
        member.hang_up()
    for member in workers:
        member.join()
