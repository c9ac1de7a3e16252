"""Cores and memory are those of the job or container, where the machine has more."""

import os
from pathlib import Path

import pytest

from mtrl import cgroup
from mtrl.cores import available_cores
from mtrl.runs.devices import available_memory

GIB = 1 << 30
UNLIMITED = "9223372036854771712"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("groups", "files", "cores", "memory"),
    [
        ("", {}, None, None),  # no control groups
        ("0::/", {"cpu.max": "250000 100000", "memory.max": f"{4 * GIB}", "memory.current": f"{GIB}"}, 2, 3 * GIB),
        ("0::/", {"cpu.max": "50000 100000", "memory.max": "max", "memory.current": "9"}, 1, None),
        (  # a step of a job: each of the groups that it is in limits it, and what files take makes room
            "0::/job/step",
            {
                "job/cpu.max": "400000 100000",
                "job/step/cpu.max": "max 100000",
                "job/memory.max": f"{8 * GIB}",
                "job/memory.current": f"{7 * GIB}",
                "job/memory.stat": f"anon {4 * GIB}\ninactive_file {2 * GIB}\nactive_file {GIB}",
                "job/step/memory.max": f"{16 * GIB}",
                "job/step/memory.current": f"{GIB}",
            },
            4,
            4 * GIB,
        ),
        (  # version 1; of a container, which sees its own group at the top
            "5:memory:/docker/0123\n3:cpu,cpuacct:/docker/0123\n2:cpuset:/\n0::/",
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "300000",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": f"{4 * GIB}",
                "memory/memory.usage_in_bytes": f"{2 * GIB}",
                "memory/memory.stat": f"inactive_file 5\ntotal_inactive_file {GIB}\ntotal_active_file 0",
            },
            3,
            3 * GIB,
        ),
        (
            "5:memory:/\n3:cpu:/",
            {
                "cpu/cpu.cfs_quota_us": "-1",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": UNLIMITED,
                "memory/memory.usage_in_bytes": "0",
            },
            None,
            int(UNLIMITED),
        ),
    ],
)
def test_limits(
    groups: str,
    files: dict[str, str],
    cores: int | None,
    memory: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(tmp_path, {"self": groups} | {f"mounted/{name}": text for name, text in files.items()})
    monkeypatch.setattr(cgroup, "_SELF", tmp_path / "self")
    monkeypatch.setattr(cgroup, "_ROOT", tmp_path / "mounted")
    assert (cgroup.core_limit(), cgroup.memory_left()) == (cores, memory)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(16))
    assert available_cores() == (cores or 16)
    if memory is not None and memory < GIB * 9:
        assert (available_memory() or 0) <= memory


def test_what_cannot_be_read_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"self": "0::/job", "mounted/job/memory.max": f"{GIB}", "mounted/job/memory.current": "0"})
    for name in ("job/cpu.max", "job/memory.stat", "memory.max"):
        (tmp_path / "mounted" / name).mkdir()
    monkeypatch.setattr(cgroup, "_SELF", tmp_path / "self")
    monkeypatch.setattr(cgroup, "_ROOT", tmp_path / "mounted")
    assert (cgroup.core_limit(), cgroup.memory_left()) == (None, GIB)
    monkeypatch.setattr(cgroup, "_SELF", tmp_path)
    assert (cgroup.core_limit(), cgroup.memory_left()) == (None, None)
