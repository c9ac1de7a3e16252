"""argparse, whose errors are one line."""

import argparse
from typing import NoReturn

from mtrl.runs.errors import UserError


class OneLineParser(argparse.ArgumentParser):
    """Raises UserError where argparse would print its usage and exit."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UserError(message)
