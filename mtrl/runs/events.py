"""What is told of a run while it goes on: the lines of `metrics.jsonl`, and what is not written beside them.

Typed dictionaries, since a line of JSON is one: a key that a line lacks, as lines of older versions lack some, is not
one whose value is null, and listeners, the file and its readers have the same thing in hand. Frozen dataclasses would
have to be made of a line and a line of them at each of the three doors (the file, its readers, another process), would
lose the keys of newer versions on the way, and would have no word for a key that is missing. Whether a line is as
training writes it is asked once, where it is read: `event_check`.

Steps are environment transitions summed over tasks; per-task values have the tasks' names for keys, and None where
nothing is known yet.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Required, TypedDict

PerTask = dict[str, float | None]
_Return = TypedDict("_Return", {"return": PerTask}, total=False)  # a keyword of Python


class ScoreMeans(TypedDict, total=False):
    """How well training goes, over the tasks for which it is known; each is there if there are tasks that it is of."""

    success_mean: float | None
    """Of the tasks that tell of success."""
    return_mean: float | None
    """Of the others, where not all have references; else `normalized_return_mean`."""
    normalized_return_mean: float | None


ScoreName = Literal["success_mean", "return_mean", "normalized_return_mean"]
SCORES: Mapping[ScoreName, tuple[str, Callable[[float], str]]] = {
    "success_mean": ("success", "{:.2f}".format),
    "normalized_return_mean": ("normalized return", "{:.2f}".format),
    "return_mean": ("return", "{:,.1f}".format),
}
"""How well it goes: what an event calls it, what people do, and how it is written."""


class Subject(TypedDict):
    """What a supervised run is about: its benchmark, tasks and data."""

    benchmark: str
    tasks: list[str]
    data: dict[str, Any]
    """`source`, and the sizes of its splits."""


class Start(TypedDict, total=False):
    """What a run is made of and made on; once more each time that it is resumed."""

    kind: Required[Literal["start"]]
    step: int
    time: str
    """UTC, ISO 8601."""
    benchmark: str
    """Of a supervised run, see `Subject`."""
    tasks: list[str]
    data: dict[str, Any]
    """Of a supervised run."""
    seed: int
    device: str
    hardware: str
    threads: int
    ranks: int
    """Processes that train together; not there for one."""
    precision: str
    """Of networks: `float32` or `bfloat16`."""
    versions: dict[str, str]
    """Of Python and packages."""
    simulator: dict[str, Any]
    """Its backend, versions, goals and reward."""
    git_commit: str | None
    returns_only: list[str]
    """The tasks that tell of no success; not there if all do."""
    resumed_at_step: int


class Train(ScoreMeans, _Return, total=False):
    """How training stands.

    In a supervised run, which counts epochs, the methods' values are the tasks' own; else they are first those of
    `critic` and `actor`.
    """

    kind: Required[Literal["train"]]
    step: int
    epoch: int
    updates: int
    wall_s: float
    learning_rate: float
    steps_per_s: float
    updates_per_s: float
    time_share: dict[str, float]
    """Of the wall time since the line before, by what it was spent on."""
    success: PerTask
    """Any-step, of the training episodes that ended last; `return` is theirs, undiscounted."""
    normalized_return: PerTask
    """0 for random actions, 1 for a good agent; of the tasks without success that have these references."""
    reward_factor: PerTask
    """What rewards are multiplied with when sampled."""
    value: PerTask
    entropy: PerTask
    temperature: PerTask
    loss: dict[str, Any]
    weights: dict[str, Any]
    """Given to the tasks' gradients by the method; None from a coordinate-wise rule."""
    gradient_norm: dict[str, Any]
    conflict_rate: Any
    """Share of the pairs of tasks whose gradients point against each other."""
    residual: dict[str, float | None]
    """The largest of the method's solver."""
    cosines: dict[str, list[list[float | None]]]


class Evaluation(_Return, total=False):
    """An evaluation of the deterministic policy during training, or of a supervised model on one split."""

    kind: Required[Literal["evaluation"]]
    step: int
    epoch: int
    wall_s: float
    split: str
    metrics: dict[str, float]
    protocol: dict[str, Any]
    """Horizon and episodes a task."""
    simulator: dict[str, Any]
    success_any: dict[str, float]
    """At some step of an episode; `return` is the mean undiscounted one."""
    success_final: dict[str, float]
    """At an episode's last step."""
    normalized_return: dict[str, float]
    """As in `Train`."""


class Phase(TypedDict):
    """Something else begins: compiling, evaluating, ..."""

    kind: Literal["phase"]
    phase: str


class Note(TypedDict):
    """A line for people."""

    kind: Literal["note"]
    text: str


PROGRESS_EVERY_S = 0.5


class Progress(ScoreMeans, total=False):
    """How far it is, twice a second: a share of what there is to do, or steps and what goes with them."""

    kind: Required[Literal["progress"]]
    share: float
    """In (0, 1]."""
    step: int
    steps: int
    """Of the whole run."""
    updates: int
    wall_s: float
    left_s: float | None
    learned_s: float
    """Spent on updates that were timed."""
    steps_per_s: float | None
    """Of each seed."""
    updates_per_s: float | None
    success: dict[int, PerTask]
    """By seed."""
    returns: dict[int, PerTask]
    """By seed, of the tasks that tell of no success."""


class Result(TypedDict):
    """A run was evaluated."""

    kind: Literal["result"]
    record: dict[str, Any]
    """As in `evaluation.json`."""


Logged = Start | Train | Evaluation
"""Of `metrics.jsonl`."""
Event = Logged | Phase | Note | Progress | Result
Told = Callable[[Event], None]
"""Takes an event."""
Listener = Callable[[Event, int | None], None]
"""Takes an event and the seed that it is of; None for one that is of all seeds."""


def score_texts(values: Mapping[str, Any]) -> list[str]:
    """The scores that are known in an event, as people read them: `success 0.73`."""
    known = ((words, form, values.get(name)) for name, (words, form) in SCORES.items())
    return [f"{words} {form(value)}" for words, form, value in known if value is not None]
