"""People who may approve: with one operator's approval the next is added, gets a new credential, or is unlocked.

Nobody can become two people alone. The first operator of a warehouse is added without approval. To add another one, to
give them a new credential or to enable them again, an operator who may approve already must approve it. A person who
knows their own credential may change it alone.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, text, update

from hub.model.alerts import OPERATOR_LOCKED
from hub.model.errors import ConfigError
from hub.operate.actions import Action, note
from hub.operate.approval import WHO_MAY, Second, check_second, hashed, is_same_person, proven, refuse
from hub.warehouse.alerts import clear_alert
from hub.warehouse.database import translated_errors
from hub.warehouse.tables.letters import operator

ADD = "operators.add"
DISABLE = "operators.disable"
UNLOCK = "operators.unlock"
LEAST_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Operator:
    """A person who may approve, or could once.

    Fields:
        added_by, approved_by: who gave the credential, and the operator who approved it; None: the first operator.
        disabled_at: None: not disabled.
        failed_tries: wrong tries of the credential since the last right one; the last at ``last_failed_at``.
        locked_at: when there were too many wrong tries; None: not locked.
    """

    name: str
    added_at: datetime
    added_by: str
    approved_by: str | None
    disabled_at: datetime | None
    disabled_by: str | None
    failed_tries: int
    last_failed_at: datetime | None
    locked_at: datetime | None

    @property
    def may_approve(self) -> bool:
        """Whether they may approve now."""
        return self.disabled_at is None and self.locked_at is None


def add_operator(
    engine: Engine, name: str, credential: str, actor: str, purpose: str, second: Second | None = None
) -> None:
    """Allow a person to approve from now on; an existing operator gets the new credential and is enabled and unlocked.

    Args:
        engine: of the warehouse.
        name: code of the person.
        credential: the new one.
        actor: who does it.
        purpose: why.
        second: an operator who approves it; or the person, with their present credential. None: for the first of all.

    Raises:
        ConfigError: the name is not usable, or the credential is too short.
        NotApprovedError: nobody who may approve has approved it.
    """
    _check_new(name, credential)
    with translated_errors("reading operators"), engine.connect() as connection:
        is_first = not connection.execute(select(func.count()).select_from(operator)).scalar_one()
    approved_by = None if is_first else _approved(engine, name, actor, second)
    values = {**hashed(credential), "added_by": actor, "approved_by": approved_by}
    if approved_by is not None and second is not None and is_same_person(approved_by, name):
        values["added_by"] = name
    with translated_errors("adding an operator"), engine.begin() as connection:
        connection.execute(text("LOCK TABLE operator IN SHARE ROW EXCLUSIVE MODE"))
        names = list(connection.execute(select(operator.c.name)).scalars())
        if is_first and names:
            raise ConfigError(["another operator was added meanwhile: name who approves with --approved-by"])
        alike = [other for other in names if other != name and is_same_person(other, name)]
        if alike:
            raise ConfigError([f"{name}: looks like {alike[0]}, who exists already; one person has one name"])
        fresh = {"added_at": func.now(), "disabled_at": None, "disabled_by": None, "failed_tries": 0, "locked_at": None}
        if name in names:
            connection.execute(update(operator).values(**values, **fresh).where(operator.c.name == name))
            _close_alert(connection)
        else:
            connection.execute(insert(operator).values(name=name, **values))
        detail = {"operator": name, "again": name in names, "approved_by": approved_by}
        note(connection, Action(actor, ADD, purpose, detail=detail))


def _check_new(name: str, credential: str) -> None:
    problems = []
    if not name or name != name.strip() or not name.isprintable() or not any(letter.isalnum() for letter in name):
        problems.append("a name must be given: a code of letters and digits, without spaces before or after it")
    if len(credential) < LEAST_LENGTH:
        problems.append(f"a credential must have {LEAST_LENGTH} characters or more")
    if problems:
        raise ConfigError(problems)


def _approved(engine: Engine, name: str, actor: str, second: Second | None) -> str:
    """Return who approved it: another operator, or the person, by their present credential."""
    if second is None:
        why = f"{name}: an operator must approve it"
        refuse(engine, actor, None, why, f"name one with --approved-by NAME; {WHO_MAY}")
    if is_same_person(second.name, name):
        if proven(engine, second) is None:
            why = f"{name}: the credential is wrong; another operator must approve it"
            refuse(engine, actor, second.name, why, f"name one with --approved-by NAME; {WHO_MAY}")
    else:
        check_second(engine, second, actor)
    return second.name


def disable_operator(engine: Engine, name: str, actor: str, purpose: str) -> None:
    """End a person's right to approve at once; what they approved stays approved.

    Raises:
        ConfigError: there is no such operator, they are disabled, or they are the last who may approve.
    """
    with translated_errors("disabling an operator"), engine.begin() as connection:
        connection.execute(text("LOCK TABLE operator IN SHARE ROW EXCLUSIVE MODE"))
        found = list_operators(connection)
        if not any(one.name == name and one.disabled_at is None for one in found):
            raise ConfigError([f"{name}: no operator of that name may approve; see `hub operators list`"])
        if not any(one.may_approve for one in found if one.name != name):
            raise ConfigError([f"{name} is the last who may approve: nobody could add another later; add one first"])
        connection.execute(
            update(operator).values(disabled_at=func.now(), disabled_by=actor).where(operator.c.name == name)
        )
        note(connection, Action(actor, DISABLE, purpose, detail={"operator": name}))


def unlock_operator(engine: Engine, name: str, actor: str, purpose: str, second: Second) -> None:
    """Unlock a person whose credential was tried too often, with another operator's approval.

    Raises:
        ConfigError: they are not locked.
        NotApprovedError: nobody who may approve has approved it.
    """
    with translated_errors("reading operators"), engine.connect() as connection:
        if not any(one.name == name and one.locked_at for one in list_operators(connection)):
            raise ConfigError([f"{name}: no operator of that name is locked; see `hub operators list`"])
    if is_same_person(second.name, name):
        why = f"{name} is locked: another operator must approve it"
        refuse(engine, actor, second.name, why, f"name one with --approved-by NAME; {WHO_MAY}")
    check_second(engine, second, actor)
    with translated_errors("unlocking an operator"), engine.begin() as connection:
        connection.execute(update(operator).values(failed_tries=0, locked_at=None).where(operator.c.name == name))
        _close_alert(connection)
        note(connection, Action(actor, UNLOCK, purpose, detail={"operator": name, "approved_by": second.name}))


def _close_alert(connection: Connection) -> None:
    locked = connection.execute(select(operator.c.name).where(operator.c.locked_at.is_not(None))).scalars()
    clear_alert(connection, OPERATOR_LOCKED, but=list(locked))


_SHOWN = (
    operator.c.name,
    operator.c.added_at,
    operator.c.added_by,
    operator.c.approved_by,
    operator.c.disabled_at,
    operator.c.disabled_by,
    operator.c.failed_tries,
    operator.c.last_failed_at,
    operator.c.locked_at,
)


def list_operators(connection: Connection) -> list[Operator]:
    """Return active, locked and disabled operators, by name."""
    rows: Any = connection.execute(select(*_SHOWN).order_by(operator.c.name))
    return [Operator(*row) for row in rows]
