"""``hub audit prove``, ``check``, ``checker`` and ``keygen``: what an auditor needs to check an event anywhere."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from hub.cli.shared.context import located, warehouse
from hub.cli.shared.options import AsJson
from hub.cli.shared.screen import Screen, json_text, say_json
from hub.model.errors import ConfigError


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


def _uuid(value: str, name: str) -> UUID:
    try:
        return UUID(value)
    except ValueError as error:
        raise ConfigError([f"{name}: is not a UUID"]) from error
