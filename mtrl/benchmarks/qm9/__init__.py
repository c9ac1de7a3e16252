"""QM9: properties of small molecules."""

from mtrl.benchmarks.qm9.section import QM9

__all__ = ["QM9"]
