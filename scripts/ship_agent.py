"""Puts the policies of a finished run among those that come with the package.

    python -m scripts.ship_agent runs/mt10-laptop mt10/laptop

Each seed's policy goes to agents/trained/NAME/seed_<k>, with its configuration, its evaluation and a model card. NAME
is the configuration in configs/ that the run was made with; a seed that was made with other settings, is not finished,
or is not evaluated with as many episodes as they say, is refused.
"""

import argparse
import sys
from pathlib import Path

from mtrl.agents.config import Config
from mtrl.agents.shipped import FOLDER
from mtrl.cli.arguments import load_config as load_file
from mtrl.cli.policy_files import write_policy
from mtrl.protocols import EVALUATION_FILES, MODERN
from mtrl.report import read_evaluation
from mtrl.runs.configs import one_of_ours
from mtrl.runs.errors import UserError
from mtrl.runs.folder import load_config
from mtrl.runs.identity import differences
from mtrl.runs.policy_only import newest
from mtrl.runs.reading import find_runs


def main(words: list[str] | None = None) -> int:
    """Ships the seeds of a run, and prints the folder and the size of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a folder of seeds, or one seed's")
    parser.add_argument("name", help="of the configuration, as `mtrl configs` lists it")
    arguments = parser.parse_args(words)
    try:
        folders = find_runs([arguments.run])
        for folder in folders:
            check(folder, load_file(one_of_ours(arguments.name), Config))
        for folder in folders:
            out = FOLDER / arguments.name / f"seed_{load_config(folder, Config).seeds[0]}"
            write_policy(folder, out, "/".join(out.relative_to(FOLDER).parts))
            size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
            print(f"{out}: {size / 1000:,.0f} kB")
    except UserError as error:
        print(f"ship_agent: error: {error}", file=sys.stderr)
        return 2
    return 0


def check(folder: Path, ours: Config) -> None:
    """Refuses a seed that is not what the name, which means our configuration, promises.

    Raises:
        UserError: it was made with other settings, has not come to its end, or is not evaluated there.
    """
    config, step = load_config(folder, Config), int(newest(folder / "checkpoints").stem)
    threads = config.training.threads  # decide how fast it was
    ours = ours.model_copy(update={"training": ours.training.model_copy(update={"threads": threads})})
    if changes := differences(config, ours.of_seed(config.seeds[0])):
        raise UserError(f"{folder} was made with another config: {'; '.join(changes)}")
    if step < ours.steps:
        raise UserError(f"{folder} must have come to step {ours.steps:,}, its newest checkpoint is of {step:,}")
    result = read_evaluation(folder / EVALUATION_FILES[MODERN])
    if result.step != step or set(result.episodes) != {ours.evaluation.episodes}:
        episodes = f"with {ours.evaluation.episodes} episodes per task"
        raise UserError(f"{folder} must be evaluated at its newest checkpoint, of step {step:,}, {episodes}")


if __name__ == "__main__":
    sys.exit(main())
