"""What figures depend on, in a line: processor and its vector instructions, threads, versions, date and command."""

import datetime
import platform
import shlex
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import torch

VECTORS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")
"""Instructions that decide how fast products are."""


def machine_line(packages: Iterable[str], devices: Iterable[str]) -> str:
    """The processor, packages and date of this process, and the command that it was started with."""
    cpuinfo = Path("/proc/cpuinfo")
    said = [line.partition(":") for line in (cpuinfo.read_text() if cpuinfo.exists() else "").splitlines()]
    models = [value.strip() for name, _, value in said if name.startswith("model name")]
    flags = {flag for name, _, value in said if name.startswith("flags") for flag in value.split()}
    threads = torch.get_num_threads()
    parts = [models[0] if models else platform.processor() or platform.machine()]
    parts += [" ".join(flag for flag in VECTORS if flag in flags)] if flags.intersection(VECTORS) else []
    parts += [f"{threads} thread" + "s" * (threads > 1)]
    parts += [f"{name} {metadata.version(name)}" for name in ("torch", *sorted(packages))]
    parts += [torch.cuda.get_device_name()] if "cuda" in devices else []
    return f"{', '.join(parts)}; {datetime.date.today()}; `{command()}`"


def command() -> str:
    """The command as it was typed: `python -m scripts.bench_envs ...`."""
    spec = sys.modules["__main__"].__spec__
    program = [sys.argv[0]] if spec is None else ["-m", spec.name]
    return shlex.join(["python", *program, *sys.argv[1:]])
