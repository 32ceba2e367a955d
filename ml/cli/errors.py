"""The one kind of error that a person meets: what is wrong, and what to do about it."""

from __future__ import annotations


class UserError(Exception):
    """Something a person can repair; both parts are one line each."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class NotFoundError(UserError):
    """The cluster has no such object."""
