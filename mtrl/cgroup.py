"""What the job or container that this process is in may use of a machine: the control groups of Linux, v1 and v2."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

_ROOT, _SELF = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_CACHE = "inactive_file", "active_file", "total_inactive_file", "total_active_file"
"""What files take of a group's memory, which makes room: in v2, and in v1, where other names leave groups in it out."""


def core_limit() -> int | None:
    """Cores whose time all processes of the group get together, one at least; None without a limit."""
    parts = []
    for group in _groups("cpu"):
        numbers = _numbers(group / "cpu.max") or _numbers(group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us")
        if len(numbers) == 2 and min(numbers) > 0:
            parts.append(numbers[0] / numbers[1])
    return max(1, int(min(parts))) if parts else None


def memory_left() -> int | None:
    """Bytes that processes of the group may still take; None without a limit."""
    files = ("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")
    found = [(group, _numbers(*(group / name for name in names))) for group in _groups("memory") for names in files]
    left = [numbers[0] - numbers[1] + _cache(group) for group, numbers in found if len(numbers) == 2]
    return max(0, min(left)) if left else None


def _groups(controller: str) -> Iterator[Path]:
    """The folders of this process's group and of those that it is in, which all limit it."""
    for _, controllers, path in (line.split(":", 2) for line in _text(_SELF).splitlines()):
        if controllers and controller not in controllers.split(","):
            continue
        mounted = [_ROOT / controllers] if controllers else [_ROOT, _ROOT / "unified"]
        for root in mounted:
            group = root / path.lstrip("/")
            yield from (each for each in (group, *group.parents) if each.is_relative_to(root))


def _numbers(*paths: Path) -> list[int]:
    """The whole numbers in files, as far as there are some: v2 says `max` where there is no limit."""
    return [int(word) for path in paths for word in _text(path).split() if word.lstrip("-").isdecimal()]


def _cache(group: Path) -> int:
    lines = dict(line.split() for line in _text(group / "memory.stat").splitlines())
    names = _CACHE[2:] if _CACHE[2] in lines else _CACHE[:2]
    return sum(int(lines.get(name, 0)) for name in names)


def _text(path: Path) -> str:
    """What is in a file, nothing where it is not there or not for this user."""
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""
