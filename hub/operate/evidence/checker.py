"""Make the checker of evidence bundles as one file, which needs Python and ``cryptography`` and nothing of the hub.

It is made from the same code that ``hub audit check`` runs (``hub.model.evidence``,
``hub.operate.evidence.check``), so both give the same answer. ``docs/check_evidence.py`` is its copy for
auditors; a test compares them.

``hub audit checker`` writes the file.
"""

import ast
import hashlib
import inspect
from types import ModuleType

from hub.model import evidence
from hub.operate.evidence import check as evidence_check
from hub.operate.evidence.keys import is_signed

_HEAD = '''#!/usr/bin/env python3
"""Check an evidence bundle of the data-sharing hub, on any machine.

Needs Python 3.11 or newer and the package ``cryptography``; nothing of the hub, no network.

    python check_evidence.py event.json --key 64e85388...   (64 hex digits, or a file with them or with a PEM key)

Exit code 0: the event is proven. 1: it is not. 2: a file cannot be read.
Take this file and the public key from a person you trust, not from the party you audit: it prints its own SHA-256.
"""

'''

_MAIN = '''

def public_key_of(text: str) -> bytes:
    """Return the 32 bytes of an Ed25519 public key: hex digits, or a file of them, or a PEM file."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    if os.path.exists(text):
        with open(text, "rb") as file:
            content = file.read()
        if content.lstrip().startswith(b"-----BEGIN"):
            return load_pem_public_key(content).public_bytes(Encoding.Raw, PublicFormat.Raw)
        text = content.decode("ascii").strip()
    key = bytes.fromhex(text)
    if len(key) != 32:
        raise ValueError("a public key has 64 hex digits")
    return key


def main() -> int:
    """Check the bundle that the command line names."""
    parser = argparse.ArgumentParser(description="Check an evidence bundle.")
    parser.add_argument("bundle", help="file that `hub audit prove` wrote")
    parser.add_argument("--key", required=True, help="public key of the hub: 64 hex digits, or a file")
    asked = parser.parse_args()
    with open(__file__, "rb") as file:
        print("this checker: sha256", hashlib.sha256(file.read()).hexdigest())
    try:
        with open(asked.bundle, encoding="utf-8") as file:
            bundle = json.load(file)
        steps = check_bundle(bundle, public_key_of(asked.key))
    except (OSError, ValueError, AttributeError) as error:
        print("cannot be checked:", type(error).__name__, ascii(str(error)))
        return 2
    for step in steps:
        print("holds" if step.holds else "FAILS", ascii(step.words)[1:-1])
    proven = bool(steps) and all(step.holds for step in steps)
    for proof in bundle["proofs"] if proven else []:
        row = proof["row"]
        what = [proof["chain"], proof["place"], row["outcome"], row["reason"], row["recorded_at"], row["key"]]
        print("proven:", *(ascii(one)[1:-1] if isinstance(one, str) else one for one in what))
    if not proven:
        print("not proven")
    return 0 if proven else 1


if __name__ == "__main__":
    sys.exit(main())
'''


def checker_digest() -> str:
    """Return the program's SHA-256, hex."""
    return hashlib.sha256(checker_source().encode()).hexdigest()


def checker_source() -> str:
    """Return the whole program as text."""
    imports = [
        "import argparse",
        "import os",
        "import sys",
        "from cryptography.exceptions import InvalidSignature",
        "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey",
    ]
    of_hashes, hashes = _taken_apart(evidence)
    of_check, check = _taken_apart(evidence_check)
    used = "\n".join(sorted({*imports, *of_hashes, *of_check}, key=_import_order))
    return "\n\n".join([_HEAD + used + "\n", hashes, inspect.getsource(is_signed), check]) + _MAIN


def _taken_apart(module: ModuleType) -> tuple[list[str], str]:
    """Return a module's imports from outside the hub, and the rest without its docstring."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    imports: list[str] = []
    gone: set[int] = set()
    for number, node in enumerate(ast.parse(source).body):
        is_docstring = number == 0 and isinstance(node, ast.Expr)
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        if is_docstring or is_import:
            gone.update(range(node.lineno - 1, (node.end_lineno or node.lineno)))
        if is_import and not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hub")):
            imports.append(ast.unparse(node))
    rest = "\n".join(line for number, line in enumerate(lines) if number not in gone)
    return imports, rest.strip() + "\n"


def _import_order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line
