"""What `--project ID` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.commands import Misuse

if TYPE_CHECKING:
    from projections.revisions import Connection


async def chosen_projects(connection: Connection, project: str | None) -> dict[str, int]:
    """All projects, or the one named, each with the number of revisions that it should have.

    Raises Misuse for one that is not there: nothing found wrong in it would prove nothing.
    """
    from projections.audit_verify import project_ids

    projects = await project_ids(connection)
    if project is None:
        return projects
    if project not in projects:
        raise Misuse(f"there is no project {project!r}")
    return {project: projects[project]}
