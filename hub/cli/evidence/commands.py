"""``hub audit``: the evidence: its state, whether it is whole, proof of one event, search, keys, retention.

The parameters of a command are its options: more than six.
"""

import json
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from hub.cli.evidence.search_command import search
from hub.cli.shared.context import located, warehouse
from hub.cli.shared.options import AsJson, Asker, Execute, Officer, Reason
from hub.cli.shared.screen import Screen, json_text, say_json
from hub.model.errors import ConfigError

_Keys = Annotated[
    list[str] | None, typer.Option("--key", help="Public key that you trust: 64 hex digits or a file; may be repeated.")
]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    group = typer.Typer(
        no_args_is_help=True, help="The evidence: seals (dấu niêm phong), signed heads, proofs (docs/evidence.md)."
    )
    for name, command in (
        ("status", status),
        ("verify", verify),
        ("prove", prove),
        ("check", check),
        ("checker", checker),
        ("search", search),
        ("keygen", keygen),
        ("keys", keys),
        ("retention", retention),
    ):
        group.command(name)(command)
    app.add_typer(group, name="audit")


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


def checker(
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("check_evidence.py"),
    as_json: AsJson = False,
) -> None:
    """Write the program that checks a bundle on a machine without this package: one file; and print its SHA-256.

    It needs Python 3.11 or newer and the package `cryptography`.

    **Examples**

    - `hub audit checker`
    - `hub audit checker --out /tmp/check_evidence.py --json`
    """
    from hub.operate.evidence.checker import checker_digest, checker_source  # heavy: cryptography

    out.write_text(checker_source(), "utf-8")
    if as_json:
        say_json({"file": str(out), "sha256": checker_digest()})
    else:
        Screen().print(f"{out}\nsha256 {checker_digest()}", soft_wrap=True)


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


def prove(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="Id of the event, a UUID.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; else standard output.")] = None,
) -> None:
    """Write a bundle that proves what the hub recorded about an event; `hub audit check` verifies it anywhere.

    The bundle contains keys, codes and hashes, but no personal value. A released event has a proof for each of its
    rows.

    **Examples**

    - `hub audit prove 7d228b88-e54c-59da-b000-4a01d8d0b222 --out event.json`
    """
    from hub.operate.evidence.prove import prove as bundle_of  # heavy: the codec
    from hub.warehouse.database import translated_errors

    settings, places = located()
    with translated_errors("proving an event"), warehouse(settings, places, "hub audit").connect() as connection:
        bundle = bundle_of(connection, _uuid(event_id, "EVENT_ID"))
    if out is None:
        say_json(bundle, indent=1)
        return
    try:
        out.write_text(json_text(bundle, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise ConfigError([f"{out}: cannot be written ({error.strerror})"]) from error
    Screen(stderr=True, soft_wrap=True).print(
        f"{len(bundle['proofs'])} proof(s) in {out}; check: hub audit check {out} --key PUBLIC_KEY"
    )


def check(
    bundle: Annotated[Path, typer.Argument(help="A bundle of `hub audit prove`; - reads standard input.")],
    key: Annotated[str, typer.Option("--key", help="The hub's public key: 64 hex digits, or a file.")],
    as_json: AsJson = False,
) -> None:
    """Check a bundle with a public key alone: no Kafka, no PostgreSQL, no setting. Exit code 1 if the check fails.

    **Examples**

    - `hub audit check event.json --key 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29`
    - `hub audit check event.json --key hub-public.pem --json`
    """
    from hub.cli.evidence.view import show_steps
    from hub.operate.evidence.check import check_bundle
    from hub.operate.evidence.keys import read_public_key

    public = read_public_key(key)
    try:
        content = json.loads(sys.stdin.read() if str(bundle) == "-" else bundle.read_text("utf-8"))
        steps = check_bundle(content, public)
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError([f"{bundle}: {error}"]) from error
    if as_json:
        say_json({"steps": [{"what": one.words, "holds": one.holds} for one in steps], "row": _row(content)})
    else:
        show_steps(steps, content)
    if not all(one.holds for one in steps):
        raise typer.Exit(1)


def _row(content: dict[str, Any]) -> Any:
    return [proof["row"] for proof in content["proofs"]]


def keygen(
    file: Annotated[Path, typer.Argument(help="New file for the private key; only its owner can read it.")],
    as_json: AsJson = False,
) -> None:
    """Create a key that signs evidence. Set HUB_SIGNING_KEY_FILE to it, and give the public key to the auditors.

    A worker reads the file at each signing: to rotate the key, replace the file.

    **Examples**

    - `hub audit keygen /etc/hub/signing-2027.pem`
    """
    from hub.operate.evidence.keys import make_key

    made = make_key(file)
    if as_json:
        say_json({"key_id": made.key_id, "public_key": made.public.hex(), "file": str(file)})
        return
    console = Screen(soft_wrap=True)
    console.print(f"key {made.key_id} in {file}")
    console.print(f"public key {made.public.hex()}")


def keys(as_json: AsJson = False) -> None:
    """List the keys that signed heads, and which heads.

    **Examples**

    - `hub audit keys`
    - `hub audit keys --json`
    """
    from hub.cli.evidence.view import show_keys
    from hub.operate.evidence.status import known_keys
    from hub.warehouse.database import translated_errors

    settings, places = located()
    with translated_errors("reading the keys"), warehouse(settings, places, "hub audit").connect() as connection:
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
    settings, places = located()
    engine = warehouse(settings, places, "hub audit")
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


def _uuid(value: str, name: str) -> UUID:
    try:
        return UUID(value)
    except ValueError as error:
        raise ConfigError([f"{name}: is not a UUID"]) from error
