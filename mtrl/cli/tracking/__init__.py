"""`--track`: the events of a run to a tracker."""

from mtrl.cli.tracking.tracker import Tracker, numbers, track_films

__all__ = ["Tracker", "numbers", "track_films"]
