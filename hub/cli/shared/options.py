"""Options that many commands share, each declared once, and who asks and why, as they say it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.model.errors import ConfigError

if TYPE_CHECKING:
    from hub.operate.actions import Action, By
    from hub.operate.records.request import Unmasking


def json_option(prints: str = "Print one JSON object.") -> Any:
    """Return the option ``--json`` with a text of its own."""
    return typer.Option("--json", help=prints)


def reason_option(needed_with: str = "") -> Any:
    """Return the option ``--reason``; ``needed_with``: the option that needs it."""
    needed = f"; needed with {needed_with}" if needed_with else ""
    return typer.Option("--reason", help=f"Why, without personal data: it is stored for ever{needed}.")


def _officer_option() -> Any:
    return typer.Option("--officer", help="Code of the officer, never a name; by default the user name.")


AsJson = Annotated[bool, json_option()]
Execute = Annotated[
    bool, typer.Option("--execute", help="Do it; without this, the command only prints what it would do.")
]
Unmask = Annotated[bool, typer.Option("--unmask", help="Show personal values; needs --reason, and is recorded.")]
Reason = Annotated[str | None, reason_option("--execute")]
ReasonToUnmask = Annotated[str | None, reason_option("--unmask")]
ReasonAlways = Annotated[str, reason_option()]
Officer = Annotated[str | None, _officer_option()]
OfficerAlways = Annotated[str, _officer_option()]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for something, and why, as the options ``--officer`` and ``--reason`` say it."""

    officer: str | None
    reason: str | None

    @property
    def actor(self) -> str:
        """The officer's code, else the user's name."""
        from hub.operate.actions import actor  # heavy: the warehouse's tables

        return actor(self.officer)

    def why(self, asked: str = "--execute") -> str:
        """Return the reason.

        Raises:
            ConfigError: there is none; ``asked`` is what needs it.
        """
        if not (self.reason or "").strip():
            raise ConfigError([f"{asked} needs --reason: say why; it is stored with who did it"])
        return self.reason or ""

    def by(self) -> "By":
        """Return who does it and why; raises ConfigError without a reason."""
        from hub.operate.actions import By

        return By(self.actor, self.why())

    def action(self, name: str, asked: str = "--execute") -> "Action":
        """Return what is recorded of doing something; raises ConfigError without a reason."""
        from hub.operate.actions import Action

        return Action(self.actor, name, self.why(asked))

    def unmasking(self, unmask: bool) -> "Unmasking | None":
        """Return who looks at personal values and why, None if nobody does; raises ConfigError without a reason."""
        from hub.operate.records.request import Unmasking  # heavy: the codec

        return Unmasking(self.actor, self.why("--unmask")) if unmask else None
