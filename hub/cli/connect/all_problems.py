"""All problems of a declaration together: schemas, policy, state and each stream's table; none hides another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from connectors.checks.check import Sample, is_fit, problems, sample
from connectors.checks.refused import refused
from connectors.declared.declaration import Declaration
from connectors.opening import open_context
from connectors.streams.context import Context
from hub.cli.connect.around import Around, look_around
from hub.cli.shared.screen import Screen, plain
from hub.codec.catalogue import load_catalogue
from hub.model.errors import ConfigError, RetryableError
from hub.retry import SHORT_COMMAND

T = TypeVar("T")


@dataclass(slots=True)
class Problems:
    """Collects the problems of steps that do not need one another."""

    found: list[str] = field(default_factory=list)

    def add(self, problems: list[str]) -> None:
        """Add problems, each once."""
        self.found += [one for one in dict.fromkeys(problems) if one not in self.found]

    def of_step(self, step: Callable[[], T]) -> T | None:
        """Take a step; return None, and keep the problems, if it raises ``ConfigError``."""
        try:
            return step()
        except ConfigError as error:
            self.add(list(error.problems))
            return None

    def require_none(self) -> None:
        """Raise ``ConfigError`` with all problems, if there are any."""
        if self.found:
            raise ConfigError(self.found)


@dataclass(frozen=True, slots=True)
class Checked:
    """A declaration without problems: what its streams share, how their first rows map, and what the hub knows."""

    context: Context
    samples: list[Sample]
    around: Around


def check_everything(
    declaration: Declaration, secret: str, environ: Mapping[str, str], offline: bool, looks_at_words: bool
) -> Checked:
    """Check a declaration against the schemas, the policy and, unless offline, its source and state.

    Raises:
        ConfigError: with every problem. Rows and words of the source are printed on the screen before it.
        RetryableError: the source is unreachable, and there is no other problem.
    """
    found = Problems(problems(declaration, load_catalogue()))
    around = found.of_step(lambda: look_around(declaration))
    context = found.of_step(lambda: open_context(declaration, secret, environ, requires_fit=False))
    if context is None:
        raise ConfigError(found.found)
    try:
        samples = [] if offline else _samples(context, found, looks_at_words)
        found.require_none()
    except BaseException:
        context.close()
        raise
    assert around is not None  # noqa: S101 - else there is a problem
    return Checked(context, samples, around)


def _samples(context: Context, found: Problems, looks_at_words: bool) -> list[Sample]:
    retrying = SHORT_COMMAND.retrying()
    samples, screen = [], Screen(stderr=True, soft_wrap=True)
    try:
        for stream in context.declaration.streams:
            fits = is_fit(stream, context.catalogue)
            one = found.of_step(partial(retrying, sample, context, stream, looks_at_words)) if fits else None
            if one is not None:
                samples.append(one)
                continue
            # the first problem of a table may hide others
            more = retrying(refused, context, stream)
            found.add(more.problems)
            for line in more.shown:
                screen.print(plain(line))
        _require_writable(context, found)
    except RetryableError as error:
        if not found.found:
            raise
        found.add([f"the source was not checked to the end: {error.message}"])
    return samples


def _require_writable(context: Context, found: Problems) -> None:
    try:
        found.of_step(context.state.require_writable)
    except RetryableError:
        return  # a run waits for a state that is away or busy
