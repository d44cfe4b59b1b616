"""Who may do what: written down once more, by hand, beside the code that decides it.

A route that is missing here fails tests/app/api/test_access.py. To add one, write its line into
ROUTES with the row of MATRIX that it belongs to; think twice before you write `nobody`.
"""

from __future__ import annotations

CALLERS = (
    "none",
    "broken token",
    "expired token",
    "wrong key",
    "other project's key",
    "stranger",
    "project key",
    "viewer key",
    "prefix key",
    "viewer",
    "editor key",
    "editor",
    "admin",
    "owner",
    "superuser",
)

_YES = "yes"
MATRIX_TEXT = """
needs          none broken expired wrong other stranger project viewkey prefix viewer edkey editor admin owner super
nobody         yes  yes    yes     yes   yes   yes      yes     yes     yes    yes    yes   yes    yes   yes   yes
caller         401  401    401     401   yes   yes      yes     yes     yes    yes    yes   yes    yes   yes   yes
user           401  401    401     401   403   yes      403     403     403    yes    403   yes    yes   yes   yes
superuser      401  401    401     401   403   403      403     403     403    403    403   403    403   403   yes
viewer         401  401    401     401   404   404      yes     yes     yes    yes    yes   yes    yes   yes   yes
editor         401  401    401     401   404   404      403     403     403    403    yes   yes    yes   yes   yes
admin          401  401    401     401   404   404      403     403     403    403    403   403    yes   yes   yes
owner          401  401    401     401   404   404      403     403     403    403    403   403    403   yes   yes
schema_viewer  401  401    401     401   404   404      yes     yes     yes    yes    yes   yes    yes   yes   yes
schema_editor  401  401    401     401   403   404      403     403     403    403    403   yes    yes   yes   yes
"""  # noqa: E501 - a table is read by its columns

ROUTES_TEXT = """
POST   /v1/auth/login                                                nobody
POST   /v1/auth/refresh                                              nobody
POST   /v1/auth/logout                                               nobody
GET    /v1/me                                                        caller
PUT    /v1/me/password                                               user
GET    /v1/users                                                     superuser
POST   /v1/users                                                     superuser
GET    /v1/users/{user}                                              superuser
PATCH  /v1/users/{user}                                              superuser
DELETE /v1/users/{user}                                              superuser
GET    /v1/projects                                                  user
POST   /v1/projects                                                  user
GET    /v1/projects/{project}                                        viewer
PATCH  /v1/projects/{project}                                        admin
DELETE /v1/projects/{project}                                        owner
POST   /v1/projects/{project}/api-key                                admin
GET    /v1/projects/{project}/keys                                   admin
POST   /v1/projects/{project}/keys                                   admin
DELETE /v1/projects/{project}/keys/{id}                              admin
GET    /v1/projects/{project}/roles                                  admin
PUT    /v1/projects/{project}/roles/{user}                           admin
DELETE /v1/projects/{project}/roles/{user}                           admin
GET    /v1/projects/{project}/configs                                viewer
GET    /v1/projects/{project}/configs/{key}                          viewer
GET    /v1/projects/{project}/configs/{key}/content                  viewer
PUT    /v1/projects/{project}/configs/{key}                          editor
PATCH  /v1/projects/{project}/configs/{key}                          editor
DELETE /v1/projects/{project}/configs/{key}                          editor
POST   /v1/projects/{project}/configs/{key}/rollback                 editor
GET    /v1/projects/{project}/configs/{key}/revisions                viewer
GET    /v1/projects/{project}/configs/{key}/revisions/{version}      viewer
GET    /v1/projects/{project}/configs/{key}/diff                     viewer
POST   /v1/projects/{project}/changes                                editor
POST   /v1/projects/{project}/rollback                               editor
GET    /v1/projects/{project}/revisions                              viewer
GET    /v1/projects/{project}/watch                                  viewer
GET    /v1/projects/{project}/audit/verify                           viewer
GET    /v1/changes/{id}                                              caller
GET    /v1/schemas                                                   caller
POST   /v1/schemas                                                   user
GET    /v1/schemas/{schema}                                          schema_viewer
PUT    /v1/schemas/{schema}                                          schema_editor
DELETE /v1/schemas/{schema}                                          schema_editor
POST   /v1/schemas/{schema}/validate                                 schema_viewer
GET    /v1/schemas/{schema}/usage                                    schema_viewer
GET    /v1/cluster                                                   superuser
GET    /healthz                                                      nobody
GET    /readyz                                                       nobody
GET    /metrics                                                      nobody
GET    /openapi.json                                                 nobody
GET    /docs                                                         nobody
GET    /problems                                                     nobody
GET    /problems/{slug}                                              nobody
GET    /                                                             nobody
GET    /assets/{name}                                                nobody
"""


def _rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.strip().splitlines()]


MATRIX: dict[str, dict[str, int | None]] = {
    needs: {
        caller: None if cell == _YES else int(cell)
        for caller, cell in zip(CALLERS, cells, strict=True)
    }
    for needs, *cells in _rows(MATRIX_TEXT)[1:]
}
"""What a caller gets: the status of the refusal, None if they are let in."""

ROUTES: dict[tuple[str, str], str] = {
    (method, path): needs for method, path, needs in _rows(ROUTES_TEXT)
}
