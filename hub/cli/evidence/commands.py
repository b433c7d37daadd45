"""``hub audit``: the evidence: its state, whether it is whole, proof of one event, search, keys, retention.

The parameters of a command are its options: more than six.
"""

from datetime import date
from typing import Annotated

import typer

from hub.cli.evidence.proofs import check, checker, keygen, prove
from hub.cli.evidence.search_command import search
from hub.cli.shared.context import located, opened, reading, warehouse
from hub.cli.shared.groups import add_group
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, Reason
from hub.cli.shared.screen import say_json
from hub.model.errors import ConfigError

_Keys = Annotated[
    list[str] | None, typer.Option("--key", help="Public key that you trust: 64 hex digits or a file; may be repeated.")
]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    told = "The evidence: seals (dấu niêm phong), signed heads, proofs (docs/evidence.md)."
    add_group(app, "audit", told, status, verify, prove, check, checker, search, keygen, keys, retention)


def status(as_json: AsJson = False) -> None:
    """Show what is sealed, signed and published; exit code 1 if evidence is late or unprotected.

    **Examples**

    - `hub audit status`
    - `hub audit status --json`
    """
    from hub.cli.evidence.view import show_status  # heavy: SQLAlchemy and the codec
    from hub.operate.evidence.status import evidence_status
    from hub.warehouse.database import translated_errors

    settings, places = located()
    with translated_errors("reading the evidence"), warehouse(settings, places, "hub audit").connect() as connection:
        found = evidence_status(connection)
    problems = found.problems(settings.evidence_limit_s)
    if as_json:
        say_json({**found.as_json(), "problems": problems})
    else:
        show_status(found, problems)
    if problems:
        raise typer.Exit(1)


def verify(
    log: Annotated[str | None, typer.Option("--log", help="Only this topic, or topic/partition.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Rows sealed on this day or later, YYYY-MM-DD.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Rows sealed on this day or before.")] = None,
    with_bytes: Annotated[bool, typer.Option("--bytes", help="Also compare with the bytes in the log.")] = False,
    no_kafka: Annotated[bool, typer.Option("--no-kafka", help="Do not read the published heads.")] = False,
    key: _Keys = None,
    as_json: AsJson = False,
) -> None:
    """Verify audit rows against their seals, seals against signed heads, and stored heads against the published heads.

    It names what is wrong and where: rows that were deleted, inserted, reordered or altered; seals and heads that are
    missing or changed. It checks every link and head, but rows only in the range. Exit code 1 if something is wrong.

    **Examples**

    - `hub audit verify`
    - `hub audit verify --log hub.citizen.changed.v1 --since 2026-11-01 --bytes`
    - `hub audit verify --key 3b6a...29 --json`
    """
    from hub.cli.evidence.verify import verified  # heavy: the codec, the decoder and the log's client
    from hub.cli.evidence.view import show_verification
    from hub.operate.evidence.verify import Range

    settings, places = located()
    wanted = Range(log, _day(since, "--since"), _day(until, "--until"))
    found = verified(settings, places, wanted, key, with_bytes=with_bytes, with_heads=not no_kafka)
    if as_json:
        say_json(found.as_json())
    else:
        show_verification(found)
    if not found.is_whole:
        raise typer.Exit(1)


def keys(as_json: AsJson = False) -> None:
    """List the keys that signed heads, and which heads.

    **Examples**

    - `hub audit keys`
    - `hub audit keys --json`
    """
    from hub.cli.evidence.view import show_keys
    from hub.operate.evidence.status import known_keys

    with reading("the keys", "hub audit") as connection:
        found = known_keys(connection)
    if as_json:
        names = ("key_id", "public_key", "first_used_at", "first_head", "last_head")
        say_json({"keys": [{name: getattr(one, name) for name in names} for one in found]}, default=str)
    else:
        show_keys(found)


def retention(
    execute: Execute = False, reason: Reason = None, officer: Officer = None, as_json: AsJson = False
) -> None:
    """Drop the months of the audit log that are older than HUB_AUDIT_RETENTION_MONTHS, each verified first.

    A month is dropped only if all its rows are sealed, covered by a published head, and unchanged. The seals stay.

    **Examples**

    - `hub audit retention`
    - `hub audit retention --execute --reason "retention 2026-11"`
    """
    from hub.cli.evidence.view import counting, show_retirements
    from hub.operate.evidence.retention import plan_retirement, retire
    from hub.warehouse.database import translated_errors

    by_whom = Asker(officer, reason).by() if execute else None
    settings, _, engine = opened("hub audit")
    with counting("rows verified") as progress, translated_errors("planning"), engine.connect() as connection:
        plan = plan_retirement(connection, settings.audit_retention_months, progress)
    dropped = retire(engine, plan, by_whom.actor, by_whom.purpose) if by_whom else 0
    if as_json:
        months = [{"partition": one.month.name, "rows": one.rows, "problems": one.problems} for one in plan]
        say_json({"months": months, "executed": execute, "rows_dropped": dropped})
    else:
        show_retirements(plan, execute)
    if any(one.problems for one in plan):
        raise typer.Exit(1)


def _day(value: str | None, option: str) -> date | None:
    try:
        return None if value is None else date.fromisoformat(value)
    except ValueError as error:
        raise ConfigError([f"{option}: a day is written YYYY-MM-DD"]) from error
