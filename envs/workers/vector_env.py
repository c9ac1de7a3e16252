"""The vector environment over worker processes.

Axes: T tasks, E environments per task, O observation, A action. Row `t * E + e` of the shared memory is
environment e of task t.
"""

import os
import warnings
import weakref
from collections.abc import Mapping
from typing import Any, final

import numpy as np

from mtrl.closing import Closing
from mtrl.envs.calls import Phase, check_state, checked_actions
from mtrl.envs.episodes import Episodes
from mtrl.envs.interface import Step
from mtrl.envs.observations import Observations
from mtrl.envs.options import Options
from mtrl.envs.workers import protocol
from mtrl.envs.workers.plan import Plan
from mtrl.envs.workers.process import Worker


@final
class WorkerEnv(Closing):
    """Whatever a plan simulates, in processes of its own (`VectorEnv`)."""

    def __init__(self, options: Options, plan: Plan) -> None:
        """Start the workers and wait for their simulators."""
        self.tasks = options.names
        self.num_envs_per_task = options.num_envs_per_task
        self.seed = options.seed
        self.infos, self.horizon = options.infos, max(options.horizons)
        self.simulator = plan.simulator
        self.action_size = plan.action_size
        self._options = options
        self._plan = plan
        self._observations = Observations(options, plan.observation_size)
        self.observation_size = self._observations.size
        self._episodes = Episodes(options.horizons, options.num_envs_per_task)
        # Of the running episodes, by their length when the action was taken.
        self._actions = np.zeros((self.horizon, *options.shape, plan.action_size), dtype=np.float32)
        self._everywhere = np.ogrid[: options.shape[0], : options.shape[1]]
        self._phase = Phase.NEW

        count = len(options.names) * options.num_envs_per_task
        row = protocol.row(plan.observation_size, plan.action_size)
        memory = protocol.create(count, row)
        self._rows = protocol.attach(memory, count, row).reshape(options.shape)
        self._workers: list[Worker] = []
        # Runs at close(), when the environment is forgotten, and at the interpreter's exit.
        self._shut_down = weakref.finalize(self, _shut_down, self._workers)
        try:
            for share in plan.shares:
                self._workers.append(Worker(plan, share, memory, count))
        finally:
            os.close(memory)
        self._waiting = list(self._workers)
        self._wait()

    def reset(self, seed: int | None = None) -> np.ndarray:
        """See `VectorEnv.reset`."""
        self._phase.require("reset()", Phase.NEW, Phase.READY)
        if seed is None:
            return self._reset(self._episodes.number + 1)
        self._options = self._options.reseeded(seed)
        self.seed = seed
        return self._reset(np.zeros_like(self._episodes.number))

    def send(self, actions: np.ndarray, active: np.ndarray | None = None) -> None:
        """See `VectorEnv.send`."""
        self._phase.require("send()", Phase.READY)
        if active is not None and not self._plan.stays and not active.all():
            raise ValueError("active must be true everywhere: these environments step together")
        actions = checked_actions(actions, self.tasks, self.num_envs_per_task, self.action_size)
        self._actions[self._episodes.length, *self._everywhere] = actions
        self._send(actions, active=True if active is None else active)

    def recv(self) -> Step:
        """See `VectorEnv.recv`."""
        self._phase.require("recv()", Phase.STEPPING)
        self._wait()
        self._phase = Phase.READY
        table = self._rows
        ended = table["terminated"] | table["truncated"] | table["last"]
        step = self._episodes.record(
            obs=self._observations.show(np.where(ended[..., None], table["obs"], table["next_obs"])),
            next_obs=self._observations.show(table["next_obs"]),
            reward=table["reward"].copy(),
            success=table["success"].copy(),
            terminated=table["terminated"],
            truncated=table["truncated"],
            active=table["active"],
        )
        self._write_starts(step.done, self._episodes.number + 1)
        return step

    def step(self, actions: np.ndarray) -> Step:
        """See `VectorEnv.step`."""
        self.send(actions)
        return self.recv()

    def state_dict(self) -> dict[str, np.ndarray]:
        """The running episodes' numbers and their actions so far: `load_state_dict` replays them.

        An episode depends on what it starts with and its actions alone (resets are independent of history, and the
        simulators deterministic), so that this is exact. Copying attributes would not be: some of metaworld's are
        live views of simulator memory.
        """
        self._phase.require("state_dict()", Phase.READY)
        length = self._episodes.length
        return {
            "make": self._options.fingerprint(),
            "episode": self._episodes.number.copy(),
            "length": length.copy(),
            "actions": self._actions[: length.max()].copy(),
            "obs": np.where((length == 0)[..., None], self._rows["obs"], self._rows["next_obs"]),
            "return": self._episodes.returned.copy(),
        }

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> np.ndarray:
        """Replay the saved episodes; everything that follows is bit-equal. See `VectorEnv.load_state_dict`.

        Warns if the replay does not arrive where the saved episodes were, or on another return: the task is not
        deterministic, it keeps something between episodes (a curriculum, a wrapper's running mean), or the simulator
        is another version or runs on another processor.
        """
        self._phase.require("load_state_dict()", Phase.NEW, Phase.READY)
        older = {"make", "episode", "length", "actions", "obs"}
        check_state(state, older | (state.keys() & {"return"}), self._options)
        self._reset(state["episode"])
        for number, actions in enumerate(state["actions"]):
            self._send(actions, active=number < state["length"])
            self.recv()
        self._actions[: len(state["actions"])] = state["actions"]
        obs = np.where((state["length"] == 0)[..., None], self._rows["obs"], self._rows["next_obs"])
        different = (obs != state["obs"]).any(axis=(1, 2)) | (self._episodes.number != state["episode"]).any(axis=1)
        if "return" in state:
            different |= (self._episodes.returned != state["return"]).any(axis=1)
        if different.any():
            names = ", ".join(task for task, differs in zip(self.tasks, different, strict=True) if differs)
            warnings.warn(
                f"the replayed episodes of {names} differ from the saved ones: they are not deterministic, keep "
                "something between episodes, or the simulator is another",
                stacklevel=2,
            )
        return self._observations.show(obs)

    def close(self) -> None:
        """See `VectorEnv.close`."""
        self._phase = Phase.CLOSED
        self._shut_down()

    def __reduce__(self) -> tuple[Any, ...]:
        return self._plan.make, (self._options,)

    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the workers."""
        return tuple(member.pid for member in self._workers)

    def _reset(self, number: np.ndarray) -> np.ndarray:
        """Begin the episodes with these numbers everywhere."""
        self._episodes.start(number)
        everywhere = np.ones(self._options.shape, dtype=bool)
        self._write_starts(everywhere, self._episodes.number)
        self._command(protocol.RESET)
        self._wait()
        self._write_starts(everywhere, self._episodes.number + 1)
        self._phase = Phase.READY
        return self._observations.show(self._rows["obs"])

    def _send(self, actions: np.ndarray, active: np.ndarray | bool) -> None:
        last = self._episodes.next_step_is_last
        self._rows["action"], self._rows["active"], self._rows["last"] = actions, active, last
        self._phase = Phase.STEPPING
        self._command(protocol.STEP_AND_RESET if last.any() else protocol.STEP)

    def _write_starts(self, where: np.ndarray, number: np.ndarray) -> None:
        """Say what the next episodes, which have these numbers `[T, E]`, begin with."""
        if not where.any():  # most steps; argwhere takes ten times longer
            return
        for task, environment in np.argwhere(where):
            start = self._plan.start(self._options, int(task), int(environment), int(number[task, environment]))
            self._rows["start"][task, environment] = start

    def _command(self, command: bytes) -> None:
        try:
            for member in self._workers:
                member.send(command)
        except RuntimeError:
            self.close()
            raise
        self._waiting = list(self._workers)

    def _wait(self) -> None:
        """Wait for those that have not answered yet, and for peers; can be called again after an interruption."""
        try:
            while self._waiting:
                self._waiting[-1].wait()
                self._waiting.pop()
        except RuntimeError:
            self.close()
            raise
        if self._options.peers:
            self._options.peers.fill(self._rows)


def _shut_down(workers: list[Worker]) -> None:
    for member in workers:
        member.hang_up()
    for member in workers:
        member.join()
