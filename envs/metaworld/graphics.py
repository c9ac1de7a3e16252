"""The cameras that MuJoCo draws from, and how it draws without a screen: with EGL, or OSMesa where there is none."""

import os
import subprocess
import sys
import tempfile

CAMERAS = ("corner4", "corner", "corner2", "corner3", "topview", "behindGripper", "gripperPOV")
"""Names; the first sees hand, object and goal of every MT10 task."""

STEPS_PER_S = 80
"""Environment steps in a second of simulated time: five MuJoCo steps of 2.5 ms each."""
_PACKAGES = {"egl": "libegl1 and libgl1-mesa-dri", "osmesa": "libosmesa6"}
"""What Debian and Ubuntu call them."""
_TRY = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 8, 8).render()"
_TIMEOUT_S = 60.0


class GraphicsError(RuntimeError):
    """Nothing to draw with; its text is one line that names what to install."""


def choose() -> str:
    """What MUJOCO_GL should be: what it is already, if that works, or else the first of EGL and OSMesa that does.

    Each is tried in a process of its own: one that fails to load stays half loaded, and mujoco never asks again.

    Raises:
        GraphicsError: none works.
    """
    asked = os.environ.get("MUJOCO_GL", "")
    reasons = {}
    for name in [asked] if asked else list(_PACKAGES):
        reason = _trouble(name)
        if reason is None:
            return name
        reasons[name] = reason
    told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    if asked:
        remedy = f"install {_PACKAGES[asked]}" if asked in _PACKAGES else "unset MUJOCO_GL"
        raise GraphicsError(f"MUJOCO_GL={asked} does not draw here: {remedy} ({told})")
    wanted = ", or ".join(f"{package} ({name})" for name, package in _PACKAGES.items())
    raise GraphicsError(f"drawing without a screen needs the system packages {wanted} ({told})")


def _trouble(name: str) -> str | None:
    """None if MuJoCo draws with it, else the last thing that it said."""
    with tempfile.TemporaryDirectory() as folder:  # MuJoCo leaves a log where it fails
        try:
            done = subprocess.run(
                [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {_TRY}"],
                env=os.environ | {"MUJOCO_GL": name},
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no answer in {_TIMEOUT_S:.0f} s"
    if done.returncode == 0:
        return None
    errors = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith((" ", "Traceback"))]
    return errors[0].strip() if errors else f"exit code {done.returncode}"
