"""`--track`: the events of a run to a tracker."""

from mtrl.cli.tracking.tracker import Tracker, flat, track_films

__all__ = ["Tracker", "flat", "track_films"]
