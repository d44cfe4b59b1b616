"""Who is calling, and the one table of what they may do.

Pure data: finding the principal of a request is `app.access.directory`'s work.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from domain.change_set import Actor


class Role(IntEnum):
    """What somebody is in a project; a higher role may do all that a lower one may."""

    VIEWER = 1
    EDITOR = 2
    ADMIN = 3
    OWNER = 4
    SUPERUSER = 5

    @property
    def label(self) -> str:
        """The name in the API and in the database's enum."""
        return self.name.lower()


class Permission(IntEnum):
    """What a request needs; the value is the lowest role that may (API.md's table)."""

    READ = Role.VIEWER
    CHANGE = Role.EDITOR
    MANAGE = Role.ADMIN
    DELETE_PROJECT = Role.OWNER
    OPERATE = Role.SUPERUSER


ROLE_LEVELS = {role.label: role for role in (Role.VIEWER, Role.EDITOR, Role.ADMIN)}
"""What a member's row or a named key can hold."""


@dataclass(frozen=True, slots=True)
class User:
    """A person who signed in."""

    user_id: str
    email: str
    is_superuser: bool
    session_id: str

    @property
    def actor(self) -> Actor:
        """As it stands in the events that this user makes."""
        return Actor(user_id=self.user_id, email=self.email)

    @property
    def tenant(self) -> str:
        """Whose share the requests take: that of an account."""
        return f"user:{self.user_id}"


@dataclass(frozen=True, slots=True)
class Application:
    """A program with an API key of one project."""

    key_id: str
    key_name: str
    project_id: str
    owner_user_id: str
    """Who owns the project: what its keys ask for is of that account's share."""
    role: Role
    prefix: str | None
    """Limits the key to configs whose key starts with it."""

    @property
    def actor(self) -> Actor:
        """As it stands in the events that this application makes."""
        return Actor(key_id=self.key_id, key_name=self.key_name)

    @property
    def tenant(self) -> str:
        """Whose share the requests take: that of the project's owner. Anybody may make projects,
        and keys in them, so neither has a share of its own."""
        return f"user:{self.owner_user_id}"


Principal = User | Application
