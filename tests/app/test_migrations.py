"""Goal: the database moves between any two versions, and every failure is one clear line.

Method: dbmate itself against real databases; schemas are compared as pg_dump writes them.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from app import migrations
from tests.support.dump import schema_of
from tests.support.rows import insert_config, insert_project, insert_user

ROOT = Path(__file__).resolve().parents[2]
COUNT = len(migrations.migrations())
SEED = [
    "001_create_users_table",
    "002_create_projects_table",
    "003_create_roles_table",
    "004_create_config_schemas_table",
    "005_create_configs_table",
    "006_create_config_revisions_table",
]


def test_the_seeds_migrations_come_first_and_no_number_is_skipped() -> None:
    found = migrations.migrations()
    assert [m.name for m in found[:6]] == SEED
    assert [int(m.version) for m in found] == list(range(1, COUNT + 1))


async def test_all_down_and_up_again_reproduces_the_schema(empty_database_url: str) -> None:
    assert len(await migrations.up(empty_database_url)) == COUNT
    first = await schema_of(empty_database_url)
    assert "CREATE TABLE public.config_revisions" in first

    assert len(await migrations.down(empty_database_url, COUNT)) == COUNT
    assert "CREATE" not in await schema_of(empty_database_url)

    await migrations.up(empty_database_url)
    assert await schema_of(empty_database_url) == first


async def test_each_down_undoes_its_up(empty_database_url: str) -> None:
    """Method: up one at a time and keep the schemas; down one at a time and compare."""
    await migrations.create_database(empty_database_url)
    schemas = [await schema_of(empty_database_url)]
    for migration in migrations.migrations():
        assert await migrations.up(empty_database_url, 1) == [migration.name]
        schemas.append(await schema_of(empty_database_url))
    assert len(set(schemas)) == COUNT + 1
    for number in range(COUNT, 0, -1):
        await migrations.down(empty_database_url)
        assert await schema_of(empty_database_url) == schemas[number - 1]


async def test_down_with_data_keeps_what_the_old_tables_can_hold(database_url: str) -> None:
    """Goal: a way back to 006 from a database in use, tombstones included."""
    connection: asyncpg.Connection = await asyncpg.connect(database_url)
    try:
        await insert_user(connection, "ann")
        await insert_project(connection, "shop", "ann")
        await insert_config(connection, "shop", "a.b", "ann")
        await connection.execute("UPDATE configs SET content = NULL, deleted = true")

        await migrations.down(database_url, COUNT - 6)

        assert await connection.fetchval("SELECT content FROM configs") == "null"
        assert await connection.fetchval("SELECT count(*) FROM config_revisions") == 1
        # The way forward again has no log entries to fill the new columns from, and says so.
        with pytest.raises(migrations.MigrationFailed, match="must be empty"):
            await migrations.up(database_url)
    finally:
        await connection.close()


async def test_down_does_not_bring_back_a_project_that_is_gone(database_url: str) -> None:
    # The release before knows no mark.
    connection: asyncpg.Connection = await asyncpg.connect(database_url)
    try:
        await insert_user(connection, "ann")
        for project in ("shop", "going"):
            await insert_project(connection, project, "ann")
        await insert_config(connection, "going", "a.b", "ann")
        await connection.execute("UPDATE projects SET deleted_at = now() WHERE id = 'going'")

        await migrations.down(database_url, COUNT - 22)

        assert await connection.fetchval("SELECT array_agg(id) FROM projects") == ["shop"]
        assert await connection.fetchval("SELECT count(*) FROM configs") == 0
    finally:
        await connection.close()


async def test_down_does_not_bring_back_a_user_who_is_gone(database_url: str) -> None:
    connection: asyncpg.Connection = await asyncpg.connect(database_url)
    try:
        for number, user in enumerate(("ann", "bob"), start=1):
            await insert_user(connection, user)
            await insert_project(connection, f"of-{user}", user)
            await insert_config(connection, f"of-{user}", "a.b", user, sequence=number)
        for statement in (
            "UPDATE projects SET deleted_at = now() WHERE id = 'of-bob'",
            "UPDATE users SET deleted_at = now() WHERE id = 'bob'",
        ):
            await connection.execute(statement)

        await migrations.down(database_url, COUNT - 24)

        assert await connection.fetchval("SELECT array_agg(id) FROM users") == ["ann"]
        assert await connection.fetchval("SELECT array_agg(project_id) FROM configs") == ["of-ann"]
    finally:
        await connection.close()


async def test_up_is_idempotent_and_counts(empty_database_url: str) -> None:
    assert await migrations.up(empty_database_url, 2) == SEED[:2]
    assert await migrations.applied(empty_database_url) == ["001", "002"]
    assert len(await migrations.pending(empty_database_url)) == COUNT - 2
    assert len(await migrations.up(empty_database_url)) == COUNT - 2
    assert await migrations.up(empty_database_url) == []


async def test_force_says_and_runs_nothing(empty_database_url: str) -> None:
    await migrations.up(empty_database_url, 2)
    before = await schema_of(empty_database_url)
    assert await migrations.force(empty_database_url, "5") == "005"
    assert await migrations.applied(empty_database_url) == ["001", "002", "003", "004", "005"]
    assert await migrations.force(empty_database_url, "0") == "0"
    assert await migrations.applied(empty_database_url) == []
    assert await schema_of(empty_database_url) == before


@pytest.mark.parametrize("version", ["99", "-1", "five", "1.0", ""])
async def test_force_refuses_an_unknown_version(database_url: str, version: str) -> None:
    before = await migrations.applied(database_url)
    with pytest.raises(migrations.UnknownVersion):
        await migrations.force(database_url, version)
    assert await migrations.applied(database_url) == before


async def test_a_database_of_a_newer_release_is_left_alone(database_url: str) -> None:
    connection: asyncpg.Connection = await asyncpg.connect(database_url)
    await connection.execute("INSERT INTO schema_migrations VALUES ('999')")
    await connection.close()
    before = await schema_of(database_url)
    for work in (migrations.up(database_url), migrations.down(database_url)):
        with pytest.raises(migrations.UnknownVersion, match="999"):
            await work
    assert await schema_of(database_url) == before


async def test_down_beyond_the_first_does_nothing(empty_database_url: str) -> None:
    await migrations.up(empty_database_url, 2)
    with pytest.raises(migrations.InvalidRequest, match="2 migrations are applied"):
        await migrations.down(empty_database_url, 3)
    assert await migrations.applied(empty_database_url) == ["001", "002"]


async def test_a_migration_that_fails_leaves_nothing(
    empty_database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "001_works.sql").write_text(
        "-- migrate:up\nCREATE TABLE a (x int);\n-- migrate:down\nDROP TABLE a;\n"
    )
    (tmp_path / "002_fails.sql").write_text(
        "-- migrate:up\nCREATE TABLE b (x int); SELECT nonsense;\n-- migrate:down\n"
    )
    with pytest.raises(migrations.MigrationFailed, match="nonsense"):
        await migrations.up(empty_database_url, directory=tmp_path)
    assert await migrations.applied(empty_database_url) == ["001"]
    assert "public.b" not in await schema_of(empty_database_url)


def test_create_takes_the_next_number(tmp_path: Path) -> None:
    assert migrations.create("first_thing", tmp_path).name == "001_first_thing.sql"
    (tmp_path / "013_other.sql").write_text("")
    made = migrations.create("add_new_feature", tmp_path)
    assert made.name == "014_add_new_feature.sql"
    assert "-- migrate:up" in made.read_text()
    for name in ("", "Upper", "a-b", "../x", "1a", "a" * 81):
        with pytest.raises(migrations.InvalidRequest):
            migrations.create(name, tmp_path)


def test_migrations_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("10_later", "9_earlier", "011_last"):
        (tmp_path / f"{name}.sql").write_text("")
    assert [step.version for step in migrations.migrations(tmp_path)] == ["9", "10", "011"]


@pytest.mark.parametrize("count", [0, -1])
async def test_to_do_none_is_not_to_do_all(count: int) -> None:
    for move in (migrations.up, migrations.down):
        with pytest.raises(migrations.InvalidRequest):
            await move("postgres://127.0.0.1:1/none", count)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgres://u:s3cret@localhost:port/x", "DATABASE_URL is not a valid URL"),
        ("postgres://u:s3cret@/x?host=/nowhere", "database x at /nowhere cannot be reached"),
    ],
)
async def test_a_url_that_leads_nowhere_is_told_without_its_password(url: str, words: str) -> None:
    with pytest.raises(migrations.DatabaseUnreachable, match=words) as caught:
        await migrations.applied(url)
    assert "s3cret" not in str(caught.value)


def test_a_number_used_twice_is_noticed(tmp_path: Path) -> None:
    for name in ("007_one.sql", "007_two.sql"):
        (tmp_path / name).write_text("")
    with pytest.raises(migrations.MigrationError, match=r"007_two\.sql and 007_one\.sql"):
        migrations.migrations(tmp_path)


# ---- the command line ----------------------------------------------------------------


def run(*command: str, cwd: Path = ROOT, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a person would; `environ` on top of an environment without ours."""
    inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(
        command, cwd=cwd, env={**inherited, **environ}, capture_output=True, text=True, timeout=60
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the commands need, for those that write into the work tree."""
    copy = tmp_path_factory.mktemp("tree")
    no_ui = shutil.ignore_patterns("ui", "static", "__pycache__")
    shutil.copytree(ROOT / "app", copy / "app", ignore=no_ui)
    for name in ("db", "scripts", "domain", "consensus", "projections"):
        shutil.copytree(ROOT / name, copy / name, ignore=no_ui)
    for name in ("guardian", "Makefile"):
        shutil.copy(ROOT / name, copy / name)
    shutil.copytree(ROOT / "requirements", copy / "requirements")
    (copy / ".venv").mkdir()
    (copy / ".venv/bin").mkdir()
    for name in ("python", "dbmate"):
        (copy / ".venv/bin" / name).symlink_to(Path(sys.executable).parent / name)
    (copy / ".venv/pyvenv.cfg").write_text((Path(sys.prefix) / "pyvenv.cfg").read_text())
    (copy / ".venv/lib").symlink_to(Path(sys.prefix) / "lib")
    (copy / ".venv/.runtime-installed").touch()
    (copy / ".make").mkdir()
    return copy


def test_every_form_of_the_script_works(tree: Path, empty_database_url: str) -> None:
    """The examples of the seed document, in its order."""
    script = str(tree / "scripts/migrate.sh")

    def migrate(*arguments: str) -> str:
        done = run(script, *arguments, cwd=tree, DATABASE_URL=empty_database_url)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert migrate("up", "2").splitlines() == [f"applied {name}" for name in SEED[:2]]
    assert migrate("up").count("applied ") == COUNT - 2
    assert migrate("up") == "nothing to apply\n"
    assert migrate("down", "1").startswith("rolled back ")
    assert migrate("version").splitlines() == [migrations.migrations()[-2].name, "1 pending"]
    created = Path(migrate("create", "add_new_feature").strip())
    assert created.name == f"{COUNT + 1:03}_add_new_feature.sql"
    assert created.parent == tree / "db/migrations"
    created.unlink()
    assert migrate("force", "5") == "version is now 005\n"


def test_every_make_target_works(tree: Path, empty_database_url: str) -> None:
    """The examples of the seed document, in its order."""

    def make(*arguments: str) -> str:
        done = run("make", "-s", *arguments, cwd=tree, DATABASE_URL=empty_database_url)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert make("migrate-up").count("applied ") == COUNT
    assert make("migrate-up-one") == "nothing to apply\n"
    assert make("migrate-down").startswith("rolled back ")
    assert make("migrate-up-one").count("applied ") == 1
    assert make("migrate-version").splitlines() == [migrations.migrations()[-1].name]
    created = Path(make("migrate-create", "NAME=add_new_feature").strip())
    assert created.name == f"{COUNT + 1:03}_add_new_feature.sql"
    created.unlink()
    assert make("migrate-force", "VERSION=5") == "version is now 005\n"


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_unreachable_database_is_one_line_without_the_password() -> None:
    url = f"postgresql://me:hush@127.0.0.1:{_closed_port()}/guardian"
    done = run("./guardian", "migrate", "up", DATABASE_URL=url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: database guardian at 127.0.0.1:")
    assert done.stderr.count("\n") == 1
    assert "hush" not in done.stderr


def test_a_wrong_scheme_is_one_line() -> None:
    done = run("./guardian", "migrate", "version", DATABASE_URL="mysql://me:hush@db/x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: DATABASE_URL: must start with postgres:// or postgresql://\n"


def test_an_unknown_version_is_one_line(database_url: str) -> None:
    done = run("./guardian", "migrate", "force", "99", DATABASE_URL=database_url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no migration 99; the newest is ")
    assert done.stderr.count("\n") == 1


def test_a_missing_dbmate_is_one_line(tree: Path, empty_database_url: str) -> None:
    dbmate = tree / ".venv/bin/dbmate"
    target = dbmate.readlink()
    dbmate.unlink()
    try:
        done = run(
            str(tree / "guardian"),
            *("migrate", "up"),
            DATABASE_URL=empty_database_url,
            PATH="/usr/bin:/bin",
        )
    finally:
        dbmate.symlink_to(target)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: dbmate was not found")
    assert done.stderr.count("\n") == 1


def test_without_a_database_url_the_embedded_database_is_used(short_path: Path) -> None:
    """Goal: every make target works on a fresh clone. Method: an empty data folder."""
    data = str(short_path / "data")
    for arguments, expected in (
        (["up", "2"], [f"applied {name}" for name in SEED[:2]]),
        (["version"], [SEED[1], f"{COUNT - 2} pending"]),
    ):
        done = run("./guardian", "migrate", *arguments, GUARDIAN_DATA_DIR=data)
        assert (done.returncode, done.stdout.splitlines()) == (0, expected), done.stderr
