"""All films on one page: a row of stills for each, with what became of it."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mtrl.envs.metaworld.film import Film

_LABEL_WIDTH, _MARGIN, _TITLE_HEIGHT = 270, 6, 40
_STILL_SIZE = 160
_BLACK, _WHITE, _GREEN, _RED = (20, 20, 20), (255, 255, 255), (0, 120, 40), (180, 30, 30)


def contact_sheet_png(films: Sequence[Film], title: str) -> bytes:
    """The page as PNG; one film a row, with its task, goal, success and return at the left."""
    columns = max(len(film.stills) for film in films)
    width = _LABEL_WIDTH + columns * (_STILL_SIZE + _MARGIN)
    height = _TITLE_HEIGHT + len(films) * (_STILL_SIZE + _MARGIN)
    page = Image.new("RGB", (width, height), _WHITE)
    draw = ImageDraw.Draw(page)
    draw.text((2 * _MARGIN, _MARGIN), title, _BLACK, ImageFont.load_default(20))
    for row, film in enumerate(films):
        top = _TITLE_HEIGHT + row * (_STILL_SIZE + _MARGIN)
        _write_label(draw, film, top)
        for column, (step, picture) in enumerate(film.stills):
            left = _LABEL_WIDTH + column * (_STILL_SIZE + _MARGIN)
            page.paste(_still(picture, step), (left, top))
    file = BytesIO()
    page.save(file, "PNG")
    return file.getvalue()


def outcome(film: Film) -> str:
    """Success in a few words."""
    if film.first_success is None:
        return "no success"
    last = "also" if film.success_final else "but not"
    return f"success at step {film.first_success}, {last} at the last"


def _write_label(draw: ImageDraw.ImageDraw, film: Film, top: int) -> None:
    words = outcome(film).split(", ")
    lines = [f"goal {film.goal_index}, return {film.total_reward:,.0f}", *words]
    draw.text((2 * _MARGIN, top + 20), film.task, _BLACK, ImageFont.load_default(20))
    for number, line in enumerate(lines):
        colour = _BLACK if number == 0 else _RED if film.first_success is None else _GREEN
        draw.text((2 * _MARGIN, top + 56 + 26 * number), line, colour, ImageFont.load_default(17))


def _still(picture: np.ndarray, step: int) -> Image.Image:
    still = Image.fromarray(picture).resize((_STILL_SIZE, _STILL_SIZE), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(still)
    draw.text((4, 3), str(step), _WHITE, ImageFont.load_default(14), stroke_width=2, stroke_fill=_BLACK)
    return still
