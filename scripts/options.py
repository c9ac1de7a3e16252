"""The options of scripts."""

import argparse


def check_counts(parser: argparse.ArgumentParser, options: argparse.Namespace, *names: str) -> None:
    """Refuses, in a line, options that are less than one."""
    for name in names:
        if (value := getattr(options, name)) < 1:
            parser.error(f"--{name.replace('_', '-')} needs to be at least 1, got {value}")
