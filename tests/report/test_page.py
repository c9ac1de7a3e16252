"""The page of a report: it needs nothing but itself, and says what its files say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes

from mtrl.report import write_report
from mtrl.report.plot import Panel, Plot
from mtrl.runs.events import Logged, Train
from tests.report import test_metric_report
from tests.report.pages import check
from tests.report.run_folders import TASKS, evaluation, result, start, train, write_run

EXAMPLE = Path(__file__).parents[2] / "results" / "example-report"
CHROMIUM = Path("/usr/bin/chromium")


def with_gradients(event: Train, weight: float) -> Train:
    """A `train` event as the trainer writes it."""
    weights, norms = (
        {"critic": dict(zip(TASKS, (ratio, 1.0), strict=True)), "actor": dict.fromkeys(TASKS, 1.0)}
        for ratio in (weight, 2 * weight)
    )
    share = event["step"] / 5000
    cosines = [[1.0, -0.25], [-0.25, 1.0]]
    more: Any = {
        "temperature": dict.fromkeys(TASKS, 0.1),
        "weights": weights,
        "gradient_norm": norms,
        "conflict_rate": {"critic": 1.0, "actor": 0.0},
        "cosines": {"critic": cosines, "actor": cosines},
        "time_share": {"update": share, "other": 1 - share},
    }
    return event | more


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods, three seeds and two: the report's folder."""
    tmp_path = tmp_path_factory.mktemp("page")
    for name, seeds, success in [("<nash>", 3, 0.8), ("mean", 2, 0.4)]:
        for seed in range(seeds):
            lines: list[Logged] = [start(seed), train(500, None, None)]
            lines += [with_gradients(train(1000 * k, success * k / 4, 0.1 * seed), 3.0) for k in range(1, 5)]
            lines.append(evaluation(2000, success, 0.5))
            scores = (success + 0.02 * seed, 0.5)
            run = write_run(tmp_path, name, seed, lines=lines, final=result(4000, seed, scores, (0.1, 0.2)), lr=success)
    (run / "videos" / "step_4000").mkdir(parents=True)
    (run / "videos" / "step_4000" / "reach-v3_goal_00.mp4").touch()
    write_report([tmp_path / "<nash>", tmp_path / "mean"], tmp_path / "report", pytest.fail)
    return tmp_path / "report"


def test_page(folder: Path) -> None:
    page = check(folder)
    text = (folder / "index.html").read_text()
    names = {path.name for path in folder.iterdir()}

    headline = page.tables["headline"]
    assert headline[0][:5] == ["method", "seeds", "IQM", "95% interval", "95%, stratified"]
    assert [row[0] for row in headline[1:]] == ["<nash>", "mean"]
    assert headline[2][2:4] == ["0.46", "–"]  # sorted .4 .42 .5 .5, one cut from each end; two seeds
    assert "mean: 2 seeds, so no interval" in text
    assert page.tables["improvement"][1:] == [["<nash>", "–", "0.75"], ["mean", "0.25", "–"]]
    assert page.tables["config"][1:] == [["lr", "0.8", "0.4"]]
    critic = next(row for row in page.tables["gradients"] if row[:2] == ["mean", "critic"])
    assert critic[2:] == ["1.00", "-0.25", "6", "3"]
    # Shares of .2, .4, .6 and .8; the first event is but 5 s after the one before it, the others are 10 s.
    assert page.tables["time"][1] == ["<nash>", "0.54", "0.46"]
    assert any(address.endswith("mean/seed_1/videos/step_4000/reach-v3_goal_00.mp4") for address in page.addresses)
    plots = {"headline", "curve", "curve_per_task", "curve_time", "curve_time_per_task", "profile", "improvement"}
    plots |= {"tasks_any_step", "conflict", "cosines", "weights", "gradient_norm", "temperature", "time"}
    assert {f"{plot}.{kind}" for plot in plots for kind in ("png", "svg")} <= names
    assert {f"{table}.md" for table in page.tables} <= names


def test_the_table_of_runs_has_in_its_files_what_the_page_says_once(folder: Path) -> None:
    page = check(folder)
    assert "hardware" not in page.tables["runs"][0]
    assert "hardware" in (folder / "runs.csv").read_text()
    assert "<dt>mujoco</dt><dd>3.3.0</dd>" in (folder / "index.html").read_text()


def test_what_is_written_in_a_plot_is_not_rounded_with_its_coordinates() -> None:
    def draw(axes: Axes) -> None:
        axes.plot([0, 1 / 3], [0, 1])
        axes.set_yticks([0.5], ["0.12345"])

    plot = Plot("a", "A plot", "a line", [Panel("0.98765", draw)])
    (svg,) = plot.panel_svgs()
    assert ">0.12345<" in svg
    assert ">0.98765<" in svg
    assert not re.search(r' d="[^"]*\.\d{3}', svg)
    assert len(svg) < len(plot.files()["a.svg"])


def view_box(svg: str) -> list[float]:
    """Left, top, width and height."""
    return [*map(float, svg.split('viewBox="')[1].split('"')[0].split())]


def test_each_panel_is_cut_out_of_the_whole_with_what_it_needs() -> None:
    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], "o", clip_on=True)

    plot = Plot("a", "A plot", "points", [Panel(title, draw) for title in ("one", "two", "three")], columns=2)
    panels = plot.panel_svgs()
    for number, svg in enumerate(panels):
        assert [title for title in ("one", "two", "three") if f">{title}<" in svg] == [plot.panels[number].title]
    (x, y, width, height), right, below = map(view_box, panels)
    assert right == [x + width, y, width, height]
    assert below == pytest.approx([x, y + height, width, height])
    ids = re.findall(r' id="([^"]*)"', "".join(panels))
    assert len(ids) == len(set(ids))
    for number, svg in enumerate(panels):
        so_far = re.findall(r' id="([^"]*)"', "".join(panels[: number + 1]))
        assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg)) <= set(so_far)
    assert 'clip-path="url(#' in panels[2]


def test_names_longer_than_their_panel_leave_it_some_room() -> None:
    def draw(axes: Axes) -> None:
        axes.barh([0], [1])
        axes.set_yticks([0], ["a name of many letters " * 9])
        axes.set_xticks([1], ["another one of many letters " * 5], rotation=45)

    plot = Plot("a", "A plot", "a bar", [Panel(title, draw) for title in ("one", "two")])
    svg = plot.panel_svgs()[0]
    size = view_box(svg)[2:]
    corners = [re.findall(r"-?[\d.]+", path) for path in re.findall(r'<path d="([^"]*)" clip-path', svg)]
    for axis in (0, 1):
        drawn = [float(number) for path in corners for number in path[axis::2]]
        assert max(drawn) - min(drawn) > 0.15 * size[axis]


def test_page_of_supervised_runs(tmp_path: Path) -> None:
    test_metric_report.write_run(tmp_path, "own", (80, 2.0, 5.0), method="single_task")
    for seed in range(3):
        folder = test_metric_report.write_run(tmp_path, "nash", (80 + seed, 1.0, 6.0), method="nash_mtl", seed=seed)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        values = {"class": 0.5, "depth": 2.0}
        more = {"loss": values, "weights": values, "gradient_norm": values, "conflict_rate": 0.5}
        lines = [line | more if line["kind"] == "train" else line for line in lines]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_report([tmp_path / "own", tmp_path / "nash"], tmp_path / "report", pytest.fail)
    page = check(tmp_path / "report")
    # Baselines 80, 2, 5: -1/80 of the second seed on the mean, -1/2, +1/5.
    assert page.tables["methods"][1][:3] == ["nash", "3", "-10.42"]
    assert page.tables["gradients"][1] == ["nash", "shared", "0.50", "–", "4", "4"]
    assert {"curves.svg", "delta_m.png", "weights.svg"} <= {path.name for path in (tmp_path / "report").iterdir()}


def test_example() -> None:
    page = check(EXAMPLE)
    assert {"headline", "tasks_any_step", "improvement", "learning", "gradients", "runs"} <= page.tables.keys()
    assert sum(path.stat().st_size for path in EXAMPLE.iterdir()) < 3e6


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_example_in_a_browser(width: int, scheme: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing")
    told: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: told.append(request.url))
        page.goto((EXAMPLE / "index.html").as_uri())
        page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
        boxes = page.eval_on_selector_all(
            "svg[role=img]", "all => all.map(x => [x.clientWidth, x.clientHeight, x.querySelectorAll('path').length])"
        )
        overflow = page.evaluate("document.documentElement.scrollWidth") - width
        ink, paper = (page.evaluate(f"getComputedStyle(document.body).{x}") for x in ("color", "backgroundColor"))
        line = page.eval_on_selector("#plot-curve svg[role=img] text", "x => getComputedStyle(x).fill")
        browser.close()
    own = (EXAMPLE / "index.html").as_uri()
    assert [line for line in told if line != own and not line.startswith("data:")] == []
    assert len(boxes) == len(check(EXAMPLE).labels)
    assert all(w > 100 and h > 50 and paths > 3 for w, h, paths in boxes)
    assert overflow <= 0
    is_light = [sum(map(int, colour[4:-1].split(","))) > 384 for colour in (ink, paper, line)]
    assert is_light == ([False, True, False] if scheme == "light" else [True, False, True])
