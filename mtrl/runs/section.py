"""What configurations are made of: frozen trees of typed fields, checked where they are made."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from mtrl import aggregation
from mtrl.aggregation.gradient_method import why_not_reused

Positive = Annotated[int, Field(gt=0, le=10**12)]
"""Steps, epochs, rows: nothing is taken for each of them at once, or what is taken is compared with the memory."""
NonNegative = Annotated[int, Field(ge=0, le=10**12)]
Count = Annotated[int, Field(gt=0, le=10**6)]
"""Of what there is at once: rows of a batch, episodes of an evaluation."""
Width = Annotated[int, Field(gt=0, le=2**16)]
"""Of a layer."""
Few = Annotated[int, Field(gt=0, le=1_000)]
"""Layers, members of a layer, channels of a convolution."""
Threads = Annotated[int, Field(ge=0, le=512)]
PositiveFloat = Annotated[float, Field(gt=0, le=1e30)]
NonNegativeFloat = Annotated[float, Field(ge=0, le=1e30)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
RunName = Annotated[str, Field(pattern=r"^\w[\w.-]*$", max_length=200)]


def _as_a_path(text: str) -> str:
    if not text.isprintable() or not text:
        raise ValueError(f"a path must be printable text, got {text[:40]!a}")
    return text


PathText = Annotated[str, AfterValidator(_as_a_path)]
"""Without NUL bytes, line ends and what is no Unicode."""

TrackerName = Literal["wandb", "tensorboard", "csv", "mlflow"]


def _as_tracking(value: Any) -> Any:
    if not isinstance(value, bool) and value not in get_args(TrackerName):
        raise PydanticCustomError("tracking", "Input should be true, false, wandb, tensorboard, csv or mlflow")
    return value


Tracking = Annotated[bool | TrackerName, BeforeValidator(_as_tracking)]
"""To which tracker a run goes, too; `true` is the first of them."""


class Section(BaseModel):
    """A frozen part of the configuration; unknown keys and wrong types are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class MethodConfig(BaseModel):
    """The aggregation method and its own hyper-parameters, e.g. `{name: cagrad, c: 0.4}`."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, use_attribute_docstrings=True)

    name: str = "nash_mtl"
    """Aggregates the per-task gradients of the shared parameters, of actor and of critic apart. A method that needs
    positive losses is for the critic; the actor, whose losses may be negative, takes the mean then. One of your own is
    `package.module:Class`, or what an installed package registers."""
    update_every: Positive = 1
    """The method makes new weights every so many updates; in between the last ones are used (Navon et al. 2022,
    sections 3.3 and 6.4). 1 with methods that have no weights, or weights for gradients that they remember."""

    @model_validator(mode="after")
    def _exists(self) -> Self:
        method = aggregation.make(self.name, **self.arguments)
        if self.update_every > 1 and (why := why_not_reused(method)):
            raise ValueError(f"update_every must be 1 with {self.name}, {why}, got {self.update_every}")
        return self

    def make(self, seed: int) -> aggregation.Method | aggregation.CoordinateMethod:
        """The method; the seed is that of one that draws, where the user has given none."""
        draws = "seed" in aggregation.hyperparameters(self.name)
        return aggregation.make(self.name, **({"seed": seed} if draws else {}) | self.arguments)

    def make_apart(self, seeds: Sequence[int]) -> aggregation.Method | aggregation.CoordinateMethod:
        """One method for problems side by side, each of which draws as it draws alone, with its seed.

        Raises:
            ValueError: it draws the same for all.
        """
        method = self.make(seeds[0])
        if "seed" in aggregation.hyperparameters(self.name):
            method.draw_apart([self.arguments.get("seed", seed) for seed in seeds])
        return method

    @property
    def arguments(self) -> dict[str, Any]:
        """The hyper-parameters given, by name."""
        return dict(self.model_extra or {})


class RunConfig(Section):
    """The settings that every run has, whatever it trains."""

    name: RunName = "run"
    """Name of the run: its folder is `<out>/<name>/seed_<k>`; without one, that of the configuration's file."""
    out: PathText = "runs"
    """Folder of all runs."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, max_length=1_000)] = (0,)
    """A run is made for each; a seed decides everything that is drawn."""
    device: str = "auto"
    """`cpu`, `cuda`, `cuda:1`, ...; `auto` takes CUDA where there is one."""
    track: Tracking = False
    """Also log to `wandb`, Weights & Biases, which `true` means, too (WANDB_MODE=offline works without an account), to
    `tensorboard` or to `csv`, files in the run's folder, or to `mlflow`, a database in the folder of all runs."""
    method: MethodConfig = MethodConfig()
    """Gradient aggregation."""

    may_differ: ClassVar[frozenset[str]] = frozenset({"seeds", "out", "name", "device", "track"})
    """Fields that may differ between a run and its continuation: where it runs, what it is called."""
    kept_by_auto: ClassVar[frozenset[str]] = frozenset()
    """Fields in which `auto` is whatever the run was made with: a choice of the machine's that is made once."""

    @property
    def folder(self) -> Path:
        """The folder that all seeds of the run lie in."""
        return Path(self.out) / self.name

    @property
    def folders(self) -> dict[int, Path]:
        """The folders of the seeds, by seed."""
        return {seed: self.folder / f"seed_{seed}" for seed in self.seeds}

    def of_seed(self, seed: int) -> Self:
        """The run of one of its seeds."""
        return self.model_copy(update={"seeds": (seed,)})

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds must differ, got {list(seeds)}")
        return seeds
