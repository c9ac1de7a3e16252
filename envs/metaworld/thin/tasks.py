"""The tasks that the thin driver knows: those of MT10."""

from collections.abc import Mapping

from mtrl.envs.metaworld.thin.button_press_topdown import BUTTON_PRESS_TOPDOWN
from mtrl.envs.metaworld.thin.door_open import DOOR_OPEN
from mtrl.envs.metaworld.thin.drawer_close import DRAWER_CLOSE
from mtrl.envs.metaworld.thin.drawer_open import DRAWER_OPEN
from mtrl.envs.metaworld.thin.peg_insert_side import PEG_INSERT_SIDE
from mtrl.envs.metaworld.thin.pick_place import PICK_PLACE
from mtrl.envs.metaworld.thin.push import PUSH
from mtrl.envs.metaworld.thin.reach import REACH
from mtrl.envs.metaworld.thin.task import ThinTask
from mtrl.envs.metaworld.thin.window_close import WINDOW_CLOSE
from mtrl.envs.metaworld.thin.window_open import WINDOW_OPEN

THIN_TASKS: Mapping[str, ThinTask] = {
    "reach-v3": REACH,
    "push-v3": PUSH,
    "pick-place-v3": PICK_PLACE,
    "door-open-v3": DOOR_OPEN,
    "drawer-open-v3": DRAWER_OPEN,
    "drawer-close-v3": DRAWER_CLOSE,
    "button-press-topdown-v3": BUTTON_PRESS_TOPDOWN,
    "peg-insert-side-v3": PEG_INSERT_SIDE,
    "window-open-v3": WINDOW_OPEN,
    "window-close-v3": WINDOW_CLOSE,
}
