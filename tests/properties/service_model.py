"""The dictionary that the service is held to, and the service beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.support.service import Client, Service, run_service, settings_for

T = TypeVar("T")
BIG_STEP_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Version:
    """One version of one config; `deleted`: a tombstone."""

    content: Any
    schema_id: str | None = None
    deleted: bool = False


@dataclass
class Project:
    """What the model knows of a project."""

    path: str
    histories: dict[str, list[Version]] = field(default_factory=dict)
    moments: list[tuple[int, dict[str, Version]]] = field(default_factory=list)
    """Positions, with what was live there."""

    def live(self, key: str) -> Version | None:
        history = self.histories.get(key)
        return history[-1] if history and not history[-1].deleted else None

    def version(self, key: str) -> int:
        return len(self.histories.get(key, []))

    def push(self, key: str, version: Version) -> None:
        self.histories.setdefault(key, []).append(version)

    def all_live(self) -> dict[str, Version]:
        return {k: found for k in self.histories if (found := self.live(k)) is not None}


def holds(kind: str | None, content: Any) -> bool:
    """Whether a content is of a JSON Schema type of the model; None: there is no schema."""
    match kind:
        case "integer":
            is_whole = isinstance(content, float) and content.is_integer()
            return (isinstance(content, int) and not isinstance(content, bool)) or is_whole
        case "string":
            return isinstance(content, str)
        case "object":
            return isinstance(content, dict)
    return True


class World:
    """The running service, and an event loop to ask it in."""

    def __init__(self, database_url: str, nats_url: str, stream: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.url = database_url
        self.service: Service = self.run(
            self.stack.enter_async_context(
                run_service(settings_for(database_url, nats_url, stream))
            )
        )
        self.admin: Client = self.run(self.service.anonymous.sign_in())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, BIG_STEP_TIMEOUT_S))

    def close(self) -> None:
        self.run(self.stack.aclose())
        self.loop.close()


def run_machine(
    machine: type[RuleBasedStateMachine], world: World, *, examples: int, steps: int
) -> None:
    """Run a machine that has its `world` from its class, and close the world."""
    try:
        run_state_machine_as_test(
            type(machine.__name__, (machine,), {"world": world}),
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.explicit, Phase.reuse, Phase.generate],
            ),
        )
    finally:
        world.close()
