"""`guardian users …`: people who may sign in."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys

import click

from app.commands import KnownFailures, Misuse, attached_settings


@click.group("users")
def command() -> None:
    """People who may sign in."""


@command.command("create")
@click.argument("email")
@click.option("--superuser", is_flag=True, help="May do everything, and manage users.")
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, one line."
)
@click.option("--prompt", is_flag=True, help="Ask for the password instead of making one.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def create(email: str, superuser: bool, password_stdin: bool, prompt: bool, as_json: bool) -> None:
    """Make a user. Without a password one is made and printed, this once."""
    from app.access.passwords import PasswordRefused
    from app.tables.users import is_email, normalise_email

    if password_stdin and prompt:
        raise Misuse("either --password-stdin or --prompt")
    email = normalise_email(email)
    if not is_email(email):
        raise Misuse("EMAIL must be an e-mail address")
    settings = attached_settings()
    given = _given_password(password_stdin, prompt)
    password = given or secrets.token_urlsafe(18)
    try:
        with KnownFailures():
            dsn = settings.require_database_url()
            user_id = asyncio.run(_create(dsn, email, password, superuser))
    except PasswordRefused as error:
        raise Misuse(str(error)) from error
    made = None if given else password
    if as_json:
        shown = {"id": user_id, "email": email, "is_superuser": superuser}
        click.echo(json.dumps(shown if made is None else {**shown, "password": made}))
        return
    click.echo(f"{'superuser' if superuser else 'user'} {email}  id: {user_id}")
    if made is not None:
        click.echo(f"password (shown once): {made}")


def _given_password(password_stdin: bool, prompt: bool) -> str | None:
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise Misuse("no password came on standard input")
        return password
    if prompt:
        text: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return text
    return None


async def _create(database_url: str, email: str, password: str, superuser: bool) -> str:
    import asyncpg
    import uuid_utils

    from app.access.passwords import PasswordHashing
    from app.tables.users import insert_user

    password_hash = PasswordHashing().hash_password(password)
    connection = await asyncpg.connect(database_url)
    try:
        user_id = str(uuid_utils.uuid7())
        await insert_user(connection, user_id, email, password_hash, superuser)
        return user_id
    finally:
        await connection.close()
