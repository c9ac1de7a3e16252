"""What configurations are made of: frozen trees of typed fields, checked where they are made."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mtrl import aggregation

Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
RunName = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]


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
    positive losses is for the critic; the actor, whose losses may be negative, takes the mean then."""
    update_every: Positive = 1
    """The method makes new weights every so many updates; in between the last ones are used (Navon et al. 2022,
    section 5.4)."""

    @model_validator(mode="after")
    def _exists(self) -> Self:
        method = aggregation.make(self.name, **self.arguments)
        if self.update_every > 1 and isinstance(method, aggregation.CoordinateMethod):
            rule = f"update_every must be 1 with {self.name}, which has no weights to reuse"
            raise ValueError(f"{rule}, got {self.update_every}")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """The hyper-parameters given, by name."""
        return dict(self.model_extra or {})


class RunConfig(Section):
    """What every run has, whatever it trains."""

    name: RunName = "run"
    """Name of the run: its folder is `<out>/<name>/seed_<k>`."""
    out: str = "runs"
    """Folder of all runs."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    """A run is made for each; a seed decides everything that is drawn."""
    device: str = "auto"
    """`cpu`, `cuda`, `cuda:1`, ...; `auto` takes CUDA where there is one."""
    track: bool = False
    """Also log to Weights & Biases (WANDB_MODE=offline works without an account)."""
    method: MethodConfig = MethodConfig()
    """Gradient aggregation."""

    may_differ: ClassVar[frozenset[str]] = frozenset({"seeds", "out", "name", "device", "track"})
    """Fields that may differ between a run and its continuation: where it runs, what it is called."""

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds must differ, got {list(seeds)}")
        return seeds
