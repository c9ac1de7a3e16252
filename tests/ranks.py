"""Jobs on several gloo ranks of this machine."""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist

Job = Callable[[int], dict[str, object]]
"""Given its rank, returns what it found."""


def run(job: Job, folder: Path, ranks: int = 2) -> list[dict]:
    """What the job returns on each rank."""
    multiprocessing.set_forkserver_preload(["tests.before_forking"])
    arguments = (ranks, str(folder / "store"), str(folder), job)
    torch.multiprocessing.start_processes(_rank, arguments, ranks, start_method="forkserver")
    return [torch.load(folder / str(number)) for number in range(ranks)]


def run_all(jobs: Mapping[str, Job], folder: Path, ranks: int = 2) -> dict[str, list[dict]]:
    """What each of several jobs returns on each rank: one after another, in processes that are begun once."""
    found = run(partial(_all, jobs), folder, ranks)
    return {name: [of_rank[name] for of_rank in found] for name in jobs}


def message(call: Callable[[], object], kinds: type[Exception] | tuple[type[Exception], ...] = ValueError) -> str:
    """What an error of these kinds says; `nothing` if there is none."""
    try:
        call()
    except kinds as error:
        return str(error)
    return "nothing"


def _all(jobs: Mapping[str, Job], number: int) -> dict[str, object]:
    results: dict[str, object] = {}
    for name, job in jobs.items():
        results[name] = job(number)
        dist.barrier()
    return results


def _rank(number: int, ranks: int, file: str, results: str, job: Job) -> None:
    torch.set_num_threads(1)
    of_torchrun = {
        "RANK": number,
        "LOCAL_RANK": number,
        "WORLD_SIZE": ranks,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": 1,
    }
    os.environ |= {name: str(value) for name, value in of_torchrun.items()}
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=number, world_size=ranks)
    torch.save(job(number), f"{results}/{number}")
    dist.barrier()  # none leaves while another still hears from it
    dist.destroy_process_group()
