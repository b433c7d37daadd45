"""Evidence without a server: what differs between marks, heads as text, keys, the gate, bundles that are none."""

import ast
import base64
import hashlib
import sys
from pathlib import Path

import pytest

from hub.model.errors import ConfigError, RetryableError
from hub.model.evidence import ChainEnd, Head, Part, Stretch, document_digest, key_id_of, node_of, row_bytes
from hub.operate.evidence.check import check_bundle
from hub.operate.evidence.checker import checker_source
from hub.operate.evidence.findings import row_findings
from hub.operate.evidence.heads import SignedHead
from hub.operate.evidence.keeper import EvidenceGate
from hub.operate.evidence.keys import KeySource, SigningKey, is_signed, make_key, read_public_key
from hub.operate.evidence.verify_heads import verify_heads

SEALED = {1: b"aaaa", 2: b"bbbb", 3: b"cccc", 5: b"eeee"}


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (SEALED, []),
        ({1: b"aaaa", 3: b"cccc", 5: b"eeee"}, ["deleted c/2"]),
        (SEALED | {4: b"dddd"}, ["inserted c/4"]),
        (SEALED | {2: b"xxxx"}, ["altered c/2"]),
        (SEALED | {2: b"cccc", 3: b"bbbb"}, ["reordered c/2", "reordered c/3"]),
        ({1: b"aaaa", 2: b"bbbb", 4: b"cccc", 5: b"eeee"}, ["reordered c/3"]),
        ({1: b"aaaa", 2: b"cccc", 5: b"eeee"}, ["deleted c/2", "reordered c/3"]),
        ({}, ["deleted c/1", "deleted c/2", "deleted c/3", "deleted c/5"]),
    ],
)
def test_rows_are_named_by_what_became_of_them(there: dict[int, bytes], found: list[str]) -> None:
    assert [f"{one.wrong} {one.where}" for one in row_findings("c", SEALED, there)] == found


def test_row_bytes_are_those_of_a_record_in_postgresqls_binary_form() -> None:
    row = {"id": 7, "recorded_at": "2000-01-01T00:00:00.000001+00:00", "worker": "w", "policy_digest": None}
    assert row_bytes("batch", row).hex() == (
        "00000005"
        "00000019"
        "0000000b" + b"batch row 1".hex() + "00000014"
        "00000008"
        "0000000000000007"
        "000004a0"
        "00000008"
        "0000000000000001"
        "00000019"
        "00000001"
        "77"
        "00000019"
        "ffffffff"
    )


def test_every_hash_depends_on_all_that_it_covers() -> None:
    part = Part(1, bytes(32), 0, 9, 10, (node_of(b"x"),))
    others = [
        Part(2, bytes(32), 0, 9, 10, part.nodes),
        Part(1, bytes([1]) * 32, 0, 9, 10, part.nodes),
        Part(1, bytes(32), 0, 8, 10, part.nodes),
        Part(1, bytes(32), 0, 9, 10, ()),
    ]
    assert part.digest not in {other.digest for other in others}
    link = Stretch("a/0", 0, 10, 10, bytes(32), bytes(32)).link(bytes(32))
    changed = [("b/0", 0, 10, 10), ("a/0", 1, 10, 10), ("a/0", 0, 11, 10), ("a/0", 0, 10, 9)]
    assert link not in {Stretch(*ends, bytes(32), bytes(32)).link(bytes(32)) for ends in changed}
    assert link != Stretch("a/0", 0, 10, 10, bytes(32), bytes(32)).link(bytes([1]) * 32)


def _head(number: int, previous: str, key: SigningKey) -> SignedHead:
    document = Head(number, "2026-11-22T00:00:00+00:00", key.key_id, previous, (ChainEnd("a/0", 5, "00"),)).document()
    return SignedHead(number, key.key_id, key.public, document, key.sign(document))


def test_heads_of_another_warehouse_on_the_same_topic_are_left_alone(tmp_path: Path) -> None:
    mine, theirs = make_key(tmp_path / "mine"), make_key(tmp_path / "theirs")
    first = _head(1, "", mine)
    second = _head(2, document_digest(first.document), mine)
    published = [_head(1, "", theirs), first, first, second]
    findings, links = verify_heads([first, second], published, None)
    assert (findings, links) == ([], {("a/0", 5): "00"})
    assert [one.wrong for one in verify_heads([first], published, None)[0]] == ["head_missing"]


def test_head_is_read_back_from_its_document_and_nonsense_is_refused() -> None:
    head = Head(3, "2026-11-22T00:00:00+00:00", "abc", "00", (ChainEnd("x/1", 9, "ff"),))
    assert Head.parse(head.document()) == head
    for nonsense in ("{}", "[]", "no json", '{"number": 1, "chains": [{}]}'):
        with pytest.raises(ValueError, match=r"."):
            Head.parse(nonsense)


def test_key_is_read_from_file_or_text_and_made_where_none_is_set(tmp_path: Path) -> None:
    made = make_key(tmp_path / "a.pem")
    assert (tmp_path / "a.pem").stat().st_mode & 0o777 == 0o600
    assert KeySource(tmp_path / "a.pem", None, tmp_path).load().key_id == made.key_id == key_id_of(made.public)
    text = base64.b64encode(made.private.private_bytes_raw()).decode()
    assert KeySource(None, text, tmp_path).load().public == made.public
    own = KeySource(None, None, tmp_path / "folder")
    assert own.is_own
    assert own.load().public == own.load().public != made.public
    assert is_signed(made.public, "text", made.sign("text"))
    assert not is_signed(made.public, "other", made.sign("text"))
    assert "private" not in repr(made)
    with pytest.raises(ConfigError, match="cannot be written"):
        make_key(tmp_path / "a.pem")


def test_unreadable_keys_are_waited_for_and_wrong_public_keys_are_bad_input(tmp_path: Path) -> None:
    (tmp_path / "nonsense").write_text("nonsense")
    for source in (
        KeySource(tmp_path / "missing", None, tmp_path),
        KeySource(tmp_path / "nonsense", None, tmp_path),
        KeySource(None, "bm90IDMyIGJ5dGVz", tmp_path),
    ):
        with pytest.raises(RetryableError, match=r"key"):
            source.load()
    public = make_key(tmp_path / "k").public
    (tmp_path / "public").write_text(public.hex() + "\n")
    assert read_public_key(public.hex()) == read_public_key(str(tmp_path / "public")) == public
    for wrong in ("12", "zz" * 32, str(tmp_path / "nonsense")):
        with pytest.raises(ConfigError, match="not an Ed25519 public key"):
            read_public_key(wrong)


def test_gate_holds_batches_back_and_says_why() -> None:
    gate, told, committed = EvidenceGate(), list[str | None](), list[int]()
    gate.on_change = told.append
    commit = gate.guarded(committed.append)
    commit(1)
    gate.close("no key")
    with pytest.raises(RetryableError, match="evidence cannot be written: no key"):
        commit(2)
    gate.open()
    commit(2)
    assert (committed, told) == ([1, 2], ["no key", None])


@pytest.mark.parametrize(
    "bundle", [{}, {"format": "evidence bundle 1"}, {"format": "evidence bundle 1", "proofs": [{}]}]
)
def test_what_is_no_bundle_is_refused(bundle: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="evidence bundle"):
        check_bundle(bundle, bytes(32))


def test_checker_for_auditors_is_made_of_the_code_that_the_hub_runs_and_needs_nothing_of_it() -> None:
    docs = Path(__file__).parents[3] / "docs"
    text = (docs / "check_evidence.py").read_text("utf-8")
    assert text == checker_source(), (
        "make it anew: hub audit checker --out docs/check_evidence.py, and its hash into docs/evidence.md"
    )
    names = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert names - set(sys.stdlib_module_names) == {"cryptography"}
    assert hashlib.sha256(text.encode()).hexdigest() in (docs / "evidence.md").read_text("utf-8")
