"""Which device, how many threads, what hardware."""

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import torch

from mtrl.cgroup import memory_left
from mtrl.cores import available_cores
from mtrl.runs.errors import UserError

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of mallopt's parameters, from malloc.h
_MEBIBYTE = 1 << 20


def choose(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA where there is one.

    Raises:
        UserError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UserError(f"device must be auto, cpu, cuda or cuda:<index>, got {name!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device {name!r} is not there: torch sees {torch.cuda.device_count()} CUDA devices")
    return device


def hardware(device: torch.device) -> str:
    """The processor, and the GPU if the device is one."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    text = f"{(cores := available_cores())} core{'s' * (cores > 1)} of {model}"
    return f"{torch.cuda.get_device_name(device)}, {text}" if device.type == "cuda" else text


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    """Torch computes with so many threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def limit_compilers(number: int) -> None:
    """Torch compiles in so many processes, where nobody has said how many; else in one for every core."""
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(number))


def keep_freed_memory() -> None:
    """Memory that this process frees stays its own, for the next step's tensors.

    glibc gives the freed end of its heap back to the system, which zeroes it page by page when the next step takes it
    again: from run to run, by where a lasting allocation happens to lie, that was nothing or a third of an update
    (2,600 pages each, quick.yaml). Nothing happens where there is no glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, 1024 * _MEBIBYTE)
        # Larger blocks, as copies of a replay for a checkpoint are, go back. Until glibc 2.34 it is 32 MiB at most.
        mallopt(_MMAP_THRESHOLD, 256 * _MEBIBYTE) or mallopt(_MMAP_THRESHOLD, 32 * _MEBIBYTE)


def available_memory() -> int | None:
    """Bytes that new processes may use without swapping, or before the job is killed; None where nobody tells."""
    info = Path("/proc/meminfo")
    lines = info.read_text().splitlines() if info.exists() else []
    known = [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    left = memory_left()
    return min(known if left is None else [*known, left], default=None)


def memory() -> int:
    """Bytes that this machine has, whoever uses them now."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
