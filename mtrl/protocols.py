"""The two protocols of evaluation, whose numbers stand in no common table, and where a run keeps what each gave."""

__all__ = ["BIAS", "EVALUATION_FILES", "LEGACY", "MODERN"]

MODERN, LEGACY = "modern", "legacy"
EVALUATION_FILES = {MODERN: "evaluation.json", LEGACY: "evaluation-legacy.json"}
BIAS = "biased upwards, only to be read beside old tables: mtrl report --explain-legacy"
"""To be said wherever a number under protocol `legacy` is printed."""
