"""The agent as an object, with the methods that users of Stable-Baselines3 know.

Axes: `T` tasks, `E` environments of each, `O` observation, `A` action.
"""

import copy
import json
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from pydantic import BaseModel

from mtrl import envs
from mtrl.agents import shipped
from mtrl.agents.callbacks import following
from mtrl.agents.config import Config
from mtrl.agents.factory import check_installed, make_learner
from mtrl.agents.finite_steps import check_observation
from mtrl.agents.interface import act_alone
from mtrl.agents.precision import choose, with_precision
from mtrl.agents.preflight import check
from mtrl.agents.seeds import streams
from mtrl.agents.training_loop import Training
from mtrl.closing import Closing
from mtrl.cores import available_cores
from mtrl.gradients.autocast import outside_autocast
from mtrl.runs import checkpoint, devices, hub
from mtrl.runs.configs import find
from mtrl.runs.errors import UserError
from mtrl.runs.events import Event, Listener
from mtrl.runs.folder import load_config
from mtrl.runs.identity import config_of, identity
from mtrl.runs.policy_only import whole_agent
from mtrl.runs.stop_signals import stop_signals
from mtrl.runs.yaml_file import read_yaml

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger

    from mtrl.agents.callbacks import Callback


class MultiTaskSAC(Closing):
    """One agent that learns by calls, without a run folder; the training is that of `mtrl.agents.train`.

        model = MultiTaskSAC("mt10/quick", seed=0)
        model.learn(100_000)
        action, _ = model.predict(obs)  # [T, E, O], or [T * E, O] task by task
        model.save("mt10.pt")
        model = MultiTaskSAC.load("mt10.pt")

    Simulators start with the first `learn` and live until `close`; loading and predicting needs none.

    Args:
        config: a configuration, a YAML file with one, or the name of one that comes with mtrl; by default that of the
            fields.
        seed: decides all that is drawn; by default the configuration's first.
        fields: of `Config`, e.g. `env={"tasks": "MT1:reach-v3"}, device="cpu"`; they override those of `config`, key by
            key in a section.

    Raises:
        ValueError: a field is not as it must be; the text names it.
        UserError: no such file or device.
    """

    def __init__(self, config: Config | str | Path | None = None, *, seed: int | None = None, **fields: Any) -> None:
        self._begin(_make_config(config, seed, fields), None)

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "auto") -> Self:
        """What `save` wrote, the newest checkpoint of a run, or a policy that comes with mtrl or is in the Hub.

        Args:
            path: the file; or the folder of a run, whose first seed is taken, or of one seed, e.g.
                `runs/mt10-quick/seed_1`; or the name of an agent that comes with mtrl (`mtrl agents` lists them), or of
                one of its seeds: `mt10/laptop/seed_1`; or `hub:owner/name`, a repository of the Hugging Face Hub that
                `mtrl push` filled.
            device: that the agent is put on.

        Raises:
            UserError: there is no such file, run, agent or device, or it is damaged.
        """
        path = hub.downloaded(str(path)) if str(path).startswith(hub.PREFIX) else shipped.find(path)
        if path.is_dir():
            config = load_config(path, Config)
            state = checkpoint.load_newest(path / "checkpoints", config)
        else:
            saved = checkpoint.read(path)
            config, state = config_of(saved.about, Config, path), saved.tree
        model = cls.__new__(cls)
        model._begin(config.model_copy(update={"device": str(device)}), state, path)
        return model

    def _begin(self, config: Config, state: dict[str, Any] | None, place: Path = Path("what was saved")) -> None:
        check_installed(config)
        self.device = devices.choose(config.device)
        with devices.threads(_num_threads(config)):
            choice = choose(config, self.device)
        if choice.is_slow:
            warnings.warn(choice.line or "", RuntimeWarning, stacklevel=3)
        self.config, self.seed = with_precision(config, choice.precision), config.seeds[0]
        self.tasks = envs.task_names(config.env.tasks)
        self.sizes = envs.sizes(self.tasks, config.env.one_hot)
        agent_seed, _, noise_seed = streams(self.seed)
        self._learner = make_learner(self.config, envs.task_infos(self.tasks), self.device, [agent_seed])
        if state:
            with checkpoint.taking(place):
                self._learner.load_state_dict([whole_agent(state, self._learner.state_dict(0))])
        self._state, self._place = state, place  # of the training when there is none
        self._training: Training | None = None
        self._logger: Logger | None = None
        self._on_event: Listener = lambda event, seed: None
        self._noise = torch.Generator(self.device).manual_seed(noise_seed)

    def learn(
        self,
        total_timesteps: int | None = None,
        callback: "Callback" = None,
        *,
        on_event: Listener = lambda event, seed: None,
    ) -> Self:
        """Goes on learning, in whole steps of all environments; two calls with half of them do what one call does.

        Ctrl-C finishes the step and then raises KeyboardInterrupt; the model can be saved or go on. The step size falls
        over the configuration's `steps`, where it falls.

        Args:
            total_timesteps: environment steps summed over tasks; by default what is left of the configuration's.
            callback: a function of two mappings, Stable-Baselines3's `BaseCallback`, or several of them; asked after
                each step of all environments whether to go on.
            on_event: told of metrics and progress, see `mtrl.agents.train`.

        Raises:
            TypeError: the callback is none.
            ValueError: `total_timesteps` is less than 0, or no number.
            UserError: a reward or a loss is not finite, or an error ended an earlier call within a step.
            SimulatorError: a simulator was killed.
        """
        if total_timesteps is not None and not (isinstance(total_timesteps, Real) and total_timesteps >= 0):
            raise ValueError(f"total_timesteps must be at least 0, got {total_timesteps!r}")
        self._on_event = on_event
        training = self._started()
        left = max(0, self.config.steps - training.step)
        until = training.step + (left if total_timesteps is None else total_timesteps)
        with (
            devices.threads(_num_threads(self.config)),
            following(callback, self, until - training.step, training.replicas[0]) as goes_on,
            stop_signals() as stop,
        ):
            training.run(until, lambda: goes_on() and not stop)
        if stop:
            raise KeyboardInterrupt
        return self

    @outside_autocast()
    def predict(
        self,
        observation: ArrayLike,
        state: None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, None]:
        """Actions.

        Args:
            observation: `[T, E, O]`; or `[T * E, O]`, task by task, as the views of `mtrl.envs.views` have it;
                or, of one task, `[O]`. Any `E`, of any type of real number.
            state: there is none.
            episode_start: not needed.
            deterministic: the mean action; otherwise one is drawn.

        Returns:
            Actions in (-1, 1), float32, with the leading axes of `observation`; None. They stand for each task's own
            box, as in `mtrl.envs.make`.

        Raises:
            ValueError: the shape fits none of these, or they are no real numbers.
            UserError: one is not finite.
        """
        numbers = _numbers(observation)
        by_task = self._by_task(numbers)
        check_observation(self.tasks, by_task)
        rows = torch.as_tensor(by_task).to(self.device)
        shape = *rows.shape[:-1], self.sizes.action
        if deterministic:
            action = act_alone(self._learner, 0, rows)
        else:
            noise = torch.randn(shape, generator=self._noise, device=self.device, dtype=torch.float32)
            action = self._learner.act(rows[None], noise[None])[0]
        return action.cpu().numpy().reshape(*numbers.shape[:-1], self.sizes.action), None

    def save(self, path: str | Path, *, replay: bool = True) -> None:
        """Writes everything that learning goes on from into one file, whole or not at all.

        Args:
            path: of the file; one that is there is replaced, a folder that is not there is made.
            replay: with what was collected: 340 MB for a million transitions of MT10. Without it learning goes on, too,
                but not exactly as if it had not stopped.

        Raises:
            UserError: an error ended `learn` within a step.
        """
        state = self._started().state(0) if self._state is None else self._state
        if not replay and "replay" in state:
            none = [rows[:, :0].clone() for rows in state["replay"]["rows"]]  # a view would bring all of its memory
            state = state | {"replay": {"written": 0, "rows": none}}
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write(Path(path), state, identity(self.config, self.seed))

    def close(self) -> None:
        """Ends the simulators; learning again goes on where it was, unless an error ended it within a step."""
        if self._training is not None:
            with self._training as training:
                if not training.is_under_way:
                    self._state, self._training = training.state(0), None

    @property
    def num_timesteps(self) -> int:
        """Environment steps so far, summed over tasks."""
        if self._training is not None:
            return self._training.step
        return self._state["step"] if self._state else 0

    @property
    def logger(self) -> "Logger":
        """Stable-Baselines3's, for its callbacks; it writes nothing."""
        from stable_baselines3.common.logger import Logger

        if self._logger is None:
            self._logger = Logger(folder=None, output_formats=[])
        return self._logger

    def get_env(self) -> Any:
        """The environments that it learns from as a `VecEnv`, for Stable-Baselines3's callbacks: to look at."""
        return envs.views.as_stable_baselines3(self._started().replicas[0].env)

    def get_vec_normalize_env(self) -> None:
        """There is none: rewards are scaled when they are sampled."""

    def __getstate__(self) -> dict[str, Any]:
        """What `save` writes: copies and pickles go on from there, with simulators of their own."""
        state = self._state if self._training is None else self._started().state(0)
        return {"config": self.config, "state": state, "place": self._place}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self._begin(kept["config"], kept["state"], kept["place"])

    def __copy__(self) -> Self:
        return copy.deepcopy(self)  # the state has tensors of the agent that goes on

    def _started(self) -> Training:
        if self._training is None:
            check(self.config, 1)
            states = [self._state] if self._state else []
            with ExitStack() as opened:  # closed again if it cannot go on from the state
                training = opened.enter_context(Training(self.config, {self.seed: None}, self.device, self._tell))
                training.begin(states, self._place)
                opened.pop_all()
            self._training, self._learner, self._state = training, training.learner, None
        if self._training.is_under_way:
            ended = f"an error ended learning within the step after step {self._training.step}"
            raise UserError(f"{ended}: there is nothing whole to save or to go on from; load what was saved before")
        return self._training

    def _tell(self, event: Event, seed: int | None) -> None:
        self._on_event(event, seed)

    def _by_task(self, observation: np.ndarray) -> np.ndarray:
        """Observations of any of the shapes that are allowed, as `[T, E, O]`."""
        num_tasks, size, shape = len(self.tasks), self.sizes.observation, observation.shape
        fits = len(shape) in (1, 2, 3) and shape[-1] == size and np.prod(shape[:-1]) % num_tasks == 0
        if not fits or (len(shape) == 3 and shape[0] != num_tasks):
            one = f", or [{size}]" if num_tasks == 1 else ""
            raise ValueError(
                f"observations must be [{num_tasks}, E, {size}] or [{num_tasks} * E, {size}], task by task{one}; "
                f"got {list(shape)}"
            )
        return observation.reshape(num_tasks, -1, size)


def _numbers(observation: Any) -> np.ndarray:
    """Observations as float32, in a new array: theirs may be read-only, reversed, or of another byte order."""
    try:
        given = np.asarray(observation)
    except ValueError:  # of different lengths, as the pair is that Gymnasium's `reset` returns
        given = np.asarray(None)
    if given.dtype.kind not in "biuf":
        got = given.dtype if isinstance(observation, np.ndarray) else f"a {type(observation).__name__}"
        raise ValueError(f"observations must be one array of real numbers, got {got}")
    with np.errstate(over="ignore"):
        return given.astype(np.float32, order="C")


def _num_threads(config: Config) -> int:
    """The number of threads while it learns."""
    return config.training.threads or max(1, available_cores() - 1)


def _make_config(config: Config | str | Path | None, seed: int | None, fields: Mapping[str, Any]) -> Config:
    """The configuration with these fields and one seed."""
    if isinstance(config, Config):
        tree = config.model_dump(mode="json")
    else:
        tree = {} if config is None else read_yaml(find(config))
    for name, value in fields.items():
        given = value.model_dump(mode="json", exclude_unset=True) if isinstance(value, BaseModel) else value
        merged = isinstance(given, Mapping) and not (name == "method" and "name" in given)
        tree[name] = _merged(tree.get(name, {}), given) if merged else given
    if seed is not None:
        tree["seeds"] = [seed]
    made = Config.model_validate_json(json.dumps(tree, default=_plain))
    return made.model_copy(update={"seeds": made.seeds[:1]})


def _plain(value: Any) -> Any:
    """A number of numpy's as Python's; what else JSON has not, a device or a path, as its text."""
    return value.item() if isinstance(value, np.generic) else str(value)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The new mapping over the old one, key by key at every depth."""
    inner = {k: _merged(old.get(k) or {}, v) if isinstance(v, Mapping) else v for k, v in new.items()}
    return {**old, **inner}
