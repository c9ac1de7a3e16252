"""Failures that a user can mend."""


class UserError(Exception):
    """Its text is the one line to show: the parameter, the rule, the value, the fix."""
