"""What is installed beside the core: the extras of pyproject.toml, and the words that install them."""

DISTRIBUTION = "mtrl-torch"
"""As the package index has it; its `mtrl` is another project."""

PACKAGES = {
    **dict.fromkeys(("matplotlib", "pydantic", "rich", "scipy", "yaml"), "report"),
    **dict.fromkeys(("gymnasium", "metaworld", "mujoco"), "rl"),
    **dict.fromkeys(("PIL", "sklearn"), "supervised"),
    **dict.fromkeys(("clarabel", "cvxpy"), "reference"),
    **dict.fromkeys(("onnx", "onnxscript"), "export"),
    **dict.fromkeys(("dm_control", "shimmy"), "dmc"),
    "envpool": "envpool",
    "huggingface_hub": "hub",
    "imageio_ffmpeg": "video",
    **dict.fromkeys(("h5py", "minari"), "minari"),
    **dict.fromkeys(("alembic", "mlflow", "sqlalchemy"), "mlflow"),
    "ray": "ray",
    "stable_baselines3": "baselines",
    "torch_geometric": "qm9",
    **dict.fromkeys(("tensorboard", "wandb"), "track"),
}
"""The smallest extra that brings a package, by the name that is imported."""

COMMANDS = {
    "supervised": "supervised",
    **dict.fromkeys(("compare", "report", "status", "watch"), "report"),
}
"""The extra that a command of `mtrl` needs; `rl` for all others."""


def install(extra: str) -> str:
    """What to type for an extra: `pip install 'mtrl-torch[video]'`. A clone that is installed editable stays it."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def install_package(package: str, command: str = "") -> str | None:
    """What to type for a package that is missing; None if none of the extras brings it.

    Args:
        package: the name that is imported.
        command: of `mtrl` that needs it: what all commands need comes with the rest of what this one needs.
    """
    extra = PACKAGES.get(package)
    if extra is None:
        return None
    return install(COMMANDS.get(command, "rl") if extra == "report" else extra)
