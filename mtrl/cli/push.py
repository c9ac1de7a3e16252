"""`mtrl push RUN REPO [--seed K] [--private]`."""

import shutil
import tempfile
from pathlib import Path

from rich.console import Console

from mtrl.agents.config import Config
from mtrl.cli.one_line_parser import OneLineParser
from mtrl.cli.screen import print_plain
from mtrl.protocols import EVALUATION_FILES
from mtrl.report import evaluation_rows, markdown
from mtrl.report.success_runs import read_evaluation
from mtrl.report.success_table import caption
from mtrl.runs import hub
from mtrl.runs.files import replacing
from mtrl.runs.folder import load_config
from mtrl.runs.metrics_file import read_events
from mtrl.runs.policy_only import keep_policy, newest
from mtrl.runs.reading import seed_folder

_DOES = (
    "Put the policy of a run's newest checkpoint, its configuration, evaluations and a model card into a repository "
    'of the Hugging Face Hub, from which `MultiTaskSAC.load("hub:OWNER/NAME")` has the agent.'
)
_FRONT = """---
library_name: mtrl
pipeline_tag: reinforcement-learning
tags: [reinforcement-learning, multi-task-learning, {method}]
---
"""


def run(words: list[str]) -> int:
    """Upload, and print where it is."""
    parser = OneLineParser("mtrl push", _DOES)
    parser.add_argument("run", type=Path, metavar="RUN", help="a seed's folder, or a folder of seeds")
    parser.add_argument("repository", metavar="REPO", help="owner/name; a folder that exists, a clone say, is filled")
    parser.add_argument("--seed", type=int, metavar="K", help="of a folder of seeds; the first by default")
    parser.add_argument("--private", action="store_true", help="if the repository is made, it is its owner's alone")
    arguments = parser.parse_args(words)
    folder, to = seed_folder(arguments.run, arguments.seed), arguments.repository
    console = Console()
    if Path(to).is_dir():
        write_policy(folder, Path(to), to)
        print_plain(console, to)
        return 0
    with tempfile.TemporaryDirectory() as made:
        write_policy(folder, Path(made), to)
        print_plain(console, hub.upload(Path(made), to, arguments.private))
    return 0


def write_policy(folder: Path, out: Path, repository: str) -> None:
    """The files of a repository: those of a run folder with the policy alone, and a model card.

    Args:
        folder: of one seed of a run.
        out: where to write.
        repository: its name, for the card.

    Raises:
        UserError: there is no checkpoint, or it is damaged.
    """
    config = load_config(folder, Config)
    source = newest(folder / "checkpoints")
    (out / "checkpoints").mkdir(exist_ok=True)
    for old in (out / "checkpoints").glob("*.pt"):
        old.unlink()
    shutil.copyfile(source, out / "checkpoints" / source.name)
    keep_policy(out / "checkpoints")
    for file in ("config.yaml", *EVALUATION_FILES.values()):
        if (folder / file).is_file():
            shutil.copyfile(folder / file, out / file)
    with replacing(out / "README.md") as card:
        card.write(model_card(folder, config, repository).encode())


def model_card(folder: Path, config: Config, repository: str) -> str:
    """What the policy is, how it is used, what it reaches, and what made it."""
    method, seed = config.method.name, config.seeds[0]
    step = int(newest(folder / "checkpoints").stem)
    parts = [
        f"{_FRONT.format(method=method)}\n# {config.name}, seed {seed}",
        f"Multi-task SAC whose per-task gradients go through `{method}`, after {step:,} environment steps; "
        "`config.yaml` has every setting.",
        f'```python\nfrom mtrl.agents import MultiTaskSAC\n\nmodel = MultiTaskSAC.load("hub:{repository}")\n```',
    ]
    for file in EVALUATION_FILES.values():
        if (folder / file).is_file():
            result = read_evaluation(folder / file)
            parts += ["## Evaluation", markdown(*evaluation_rows(result)), caption(result.protocol, result.simulator)]
    starts = [event for event in read_events(folder / "metrics.jsonl") if event["kind"] == "start"]
    if starts:
        versions = ", ".join(f"{package} {version}" for package, version in starts[-1]["versions"].items())
        commit = starts[-1].get("git_commit") or "unknown"
        parts += ["## Made with", f"{versions}; commit {commit}; {starts[-1]['hardware']}."]
    return "\n\n".join(parts) + "\n"
