"""Tables that scripts print."""

import re


def unpadded(text: str) -> str:
    """A text with one space in the place of several: cells are padded."""
    return re.sub(" +", " ", text)
