"""What a process asks of the system."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from mtrl.runs.devices import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def step():
    torch.ones(12_000_000).sum()  # 48 MB: 11,700 pages
for _ in range(40):  # the heap finds its shape
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is glibc's")
def test_freed_memory_is_used_again() -> None:
    """Steps take no new pages once the heap is as large as one needs, where each took all of its own."""
    faults = {
        case: int(subprocess.run([sys.executable, "-c", FAULTS, case], check=True, capture_output=True).stdout)
        for case in ("kept", "given back")
    }
    assert faults["kept"] < 10_000 < faults["given back"]
