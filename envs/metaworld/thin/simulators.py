"""Environments of several tasks in one worker: a model per task, an `MjData` each.

Axes: n environments, m of them of one task, O observation, A action.
"""

from collections.abc import Sequence
from typing import NamedTuple, final

import mujoco
import numpy as np

from mtrl.envs.interface import OBSERVATION_SIZE
from mtrl.envs.metaworld.quaternion import quaternion
from mtrl.envs.metaworld.thin import orientation
from mtrl.envs.metaworld.thin.points import Points
from mtrl.envs.metaworld.thin.task import Readings
from mtrl.envs.metaworld.thin.world import World

_FRAME = 18
"""Numbers of a frame in an observation: the present one, the last one, then the goal."""
_OBJECT, _QUATERNION = slice(4, 7), slice(7, 11)
_GRIPPER = 3
_WIDEST = 0.1
"""Between the claws, m: the gripper is open."""
_DOWN = np.array([1.0, 0.0, 1.0, 0.0])
"""The hand's quaternion, w first."""
_CONTROL = np.array([1.0, -1.0])
"""Of the two fingers, per gripper effort."""


class Group(NamedTuple):
    """The environments of a task."""

    task: str
    """One of `THIN_TASKS`."""
    goals: np.ndarray
    """Goal vectors, `[num_goals, 3 or 6]`."""
    num_envs: int
    """m."""


class _Environment(NamedTuple):
    """Views of one `MjData`, made once."""

    world: World
    data: mujoco.MjData
    mocap: np.ndarray
    """Where the hand is pulled to, `[3]`."""
    turn: np.ndarray
    """How the hand is turned, `[4]`."""
    control: np.ndarray
    """`[2]`."""
    moves: list[tuple[np.ndarray, np.ndarray]]
    """What to copy into the model before a step: to, from."""
    copies: list[tuple[np.ndarray, np.ndarray]]
    """What to copy after it: to, from."""


@final
class ThinSimulators:
    """Equal to stock metaworld with the V2 reward, without its objects and calls (`Simulators`).

    Observations are made for all environments together, rewards for those of a task.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        """Build them; in every array they stand side by side in this order."""
        self._worlds = [World(group.task, group.goals) for group in groups]
        counts = [group.num_envs for group in groups]
        ends, count = np.cumsum(counts).tolist(), sum(counts)
        self._rows = [slice(end - of_task, end) for end, of_task in zip(ends, counts, strict=True)]
        self._points = Points([world.task for world in self._worlds], [world.model for world in self._worlds], counts)
        self._joint, self._mocap, self._placements = np.zeros(count), np.zeros((count, 3)), np.zeros((count, 3))
        self._frames = np.zeros((count, OBSERVATION_SIZE))
        self._low, self._high = np.zeros_like(self._frames), np.zeros_like(self._frames)
        self._margins = [np.zeros((of_task, 0)) for of_task in counts]
        self._matrices: list[tuple[int, np.ndarray]] = []
        homes = [world for world, of_task in zip(self._worlds, counts, strict=True) for _ in range(of_task)]
        self._environments = [self._environment(number, world) for number, world in enumerate(homes)]
        self._turned = [number for number, _ in self._matrices]
        # The same for all of these tasks.
        stock = self._worlds[0].stock
        self.frame_skip = stock.frame_skip
        self._action_scale, self._mocap_low, self._mocap_high = stock.action_scale, stock.mocap_low, stock.mocap_high

    @property
    def physics(self) -> list[tuple[mujoco.MjModel, mujoco.MjData]]:
        """Of each environment."""
        return [(environment.world.model, environment.data) for environment in self._environments]

    def reset(self, goals: np.ndarray) -> np.ndarray:
        """See `Simulators.reset`."""
        starts = [world.start(int(goal)) for (world, *_), goal in zip(self._environments, goals, strict=True)]
        self._margins = [np.array([start.margins for _, start in starts[rows]]) for rows in self._rows]
        for number, (episode, start) in enumerate(starts):
            world, data, mocap = self._environments[number][:3]
            mujoco.mj_setState(world.model, data, episode.state, mujoco.mjtState.mjSTATE_INTEGRATION)
            self._mocap[number] = mocap
            self._frames[number] = episode.obs
            self._points.start(number, start)
            if world.moved_row is not None:
                self._placements[number] = episode.model["body_pos"][world.moved_row]
            space = world.stock.sawyer_observation_space  # with the goal visible, since its start was made
            self._low[number], self._high[number] = space.low, space.high
        return self._frames.copy()

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `Simulators.step`."""
        actions = np.asarray(actions, dtype=np.float32)
        self._frames[:, _FRAME : 2 * _FRAME] = self._frames[:, :_FRAME]
        self._simulate(actions)
        obs = self._observe()
        claws, distances = self._points.distances()
        gripper = np.minimum(claws / _WIDEST, 1.0)
        obs[:, _GRIPPER] = self._frames[:, _GRIPPER] = gripper
        reward, success = np.empty(len(obs)), np.empty(len(obs), dtype=bool)
        for world, rows, *own in zip(
            self._worlds, self._rows, self._points.own(), distances, self._margins, strict=True
        ):
            reward[rows], success[rows] = world.task.reward(
                Readings(
                    actions[rows],
                    gripper[rows],
                    self._points.object[rows],
                    self._points.target[rows],
                    self._points.hand[rows],
                    self._joint[rows],
                    *own,
                )
            )
        return obs, reward, success

    def _simulate(self, actions: np.ndarray) -> None:
        """Five steps of physics and a `mj_forward` everywhere, as metaworld's `step`; what they gave is copied."""
        shift = np.minimum(np.maximum(actions[:, :3], -1), 1) * self._action_scale  # float32, as there
        mocap = np.minimum(np.maximum(self._mocap + shift, self._mocap_low), self._mocap_high)
        control = actions[:, 3:] * _CONTROL
        frame_skip = self.frame_skip
        for number, (world, data, mocap_view, turn, control_view, moves, copies) in enumerate(self._environments):
            mocap_view[:] = mocap[number]
            turn[:] = _DOWN
            control_view[:] = control[number]
            for to, source in moves:
                to[:] = source
            mujoco.mj_step(world.model, data, frame_skip)
            mujoco.mj_forward(world.model, data)
            for to, source in copies:
                to[:] = source

    def _observe(self) -> np.ndarray:
        """The observations `[n, O]`, but for the gripper's opening."""
        frames = self._frames
        frames[:, :3], frames[:, _OBJECT] = self._points.read_hand_and_object()
        if self._matrices:
            frames[self._turned, _QUATERNION] = [quaternion(matrix.tolist()) for _, matrix in self._matrices]
        obs = np.minimum(np.maximum(frames, self._low), self._high)
        self._points.observed(obs[:, :3])
        return obs

    def _environment(self, number: int, world: World) -> _Environment:
        data, task = mujoco.MjData(world.model), world.task
        # MuJoCo never moves what it pulls the hand to, unless it found a state unstable and reset the data.
        copies = [*self._points.sources(number, data), (self._mocap[number], data.mocap_pos[0])]
        if task.joint:
            copies.append((self._joint[number : number + 1], data.joint(task.joint).qpos))
        if task.orientation:
            source = orientation.source(task.orientation, world.model, data)
            if task.orientation.kind == "quaternion":
                copies.append((self._frames[number, _QUATERNION], source))
            else:
                self._matrices.append((number, source))
        moves = []
        if world.moved_row is not None:
            moves.append((world.model.body_pos[world.moved_row], self._placements[number]))
        return _Environment(
            world=world,
            data=data,
            mocap=data.mocap_pos[0],
            turn=data.mocap_quat[0],
            control=data.ctrl,
            moves=moves,
            copies=copies,
        )
