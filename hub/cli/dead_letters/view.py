"""How dead letters are printed: tables that fit 100 columns, bytes as a dump, and the same as JSON."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from rich.console import Console, Group, RenderableType
from rich.table import Table

from hub.cli.shared.screen import plain, styled
from hub.log.places import place_text
from hub.model.keys import KEY_BYTES
from hub.model.refusals import GroupBy
from hub.operate.dead_letters.edit import EditPlan
from hub.operate.dead_letters.groups import LetterGroup
from hub.operate.dead_letters.letters import Letter, State
from hub.operate.dead_letters.redrive import RedrivePlan
from hub.operate.dead_letters.show import ShownLetter
from hub.operate.dead_letters.story import Edit
from hub.topology import subject_of

_BYTES_PER_LINE = 16
_SHORT = 12


def short_place(letter: Letter) -> str:
    """Return a letter's name with the subject in place of the topic."""
    return f"{subject_of(letter.place.topic)}/{letter.place.partition}/{letter.place.offset}"


def counted(counts: Sequence[tuple[str, State, int]]) -> str:
    """Return counts by reason in one line."""
    return ", ".join(f"{reason} {count:,} {state.value}" for reason, state, count in counts) or "no dead letters"


def listed(letters: Sequence[Letter]) -> Table:
    """Return the table of some letters."""
    table = Table(box=None, pad_edge=False)
    for heading in ("letter", "refused for", "source", "same", "first seen", "last seen", "state"):
        is_place = heading == "letter"
        table.add_column(
            heading, overflow="fold", no_wrap=not is_place, justify="right" if heading == "same" else "left"
        )
    for one in letters:
        state = one.state.value if one.origin is None else f"{one.state.value}, redrive {one.attempt}"
        source = one.source or "?"
        table.add_row(
            short_place(one),
            one.reason,
            source,
            f"{one.same:,}",
            _minute(one.first_seen),
            _minute(one.last_seen),
            state,
        )
    return table


def grouped(groups: Sequence[LetterGroup], by: GroupBy) -> Table:
    """Return the table of letters counted in groups: how many, of what, since when, and the oldest of each."""
    table = Table(box=None, pad_edge=False)
    beside = {GroupBy.REASON: "source", GroupBy.SOURCE: "reason", GroupBy.TOPIC: "reason"}[by]
    for heading in ("count", by.value, "state", beside, "first seen", "last seen", "oldest"):
        is_short = heading in ("count", "first seen", "last seen")
        table.add_column(heading, overflow="fold", no_wrap=is_short, justify="right" if heading == "count" else "left")
    for one in groups:
        place = one.example
        table.add_row(
            f"{one.count:,}",
            one.name or "not known",
            ", ".join(f"{count:,} {state.value}" for state, count in one.states.items()),
            ", ".join(one.reasons if by is not GroupBy.REASON else one.sources) or "not known",
            _minute(one.first_seen),
            _minute(one.last_seen),
            f"{subject_of(place.topic)}/{place.partition}/{place.offset}",
        )
    return table


def group_as_json(one: LetterGroup) -> dict[str, Any]:
    """Return a group as what ``--json`` prints."""
    return {
        "name": one.name,
        "count": one.count,
        "states": {state.value: count for state, count in one.states.items()},
        "reasons": list(one.reasons),
        "sources": list(one.sources),
        "subjects": list(one.subjects),
        "first_seen": one.first_seen.isoformat(),
        "last_seen": one.last_seen.isoformat(),
        "oldest": place_text(one.example),
    }


def shown(letter: ShownLetter) -> RenderableType:
    """Return all that is known of a letter."""
    one = letter.letter
    rows = Table(box=None, pad_edge=False, show_header=False)
    rows.add_column(no_wrap=True, style="dim")
    rows.add_column(overflow="fold")
    for name, text in _facts(letter):
        rows.add_row(name, plain(text))
    parts: list[RenderableType] = [
        styled("[bold]{}[/bold] {}", place_text(one.place), one.state.value),
        rows,
        _stack(one.stack),
    ]
    if letter.edits:
        parts.append(edits(letter.edits))
    if letter.fields is not None:
        parts.append("fields" + (", personal ones masked" if letter.is_masked else ""))
        parts += [plain(f"  {name}: {value}") for name, value in letter.fields.items() if value is not None]
    if not letter.is_masked:
        parts += dumped(one.value or b"")
    return Group(*parts)


def _facts(letter: ShownLetter) -> list[tuple[str, str]]:
    one = letter.letter
    facts = [
        ("refused for", f"{one.reason}: {one.detail}"),
        ("on the log", _on_the_log(letter)),
        *((f"header {name}", text) for name, text in _headers(letter).items()),
        ("read by", f"{one.worker or '?'} at {one.recorded_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("source", one.source or "not known"),
        ("schema id", "none" if one.schema_id is None else str(one.schema_id)),
        ("value", f"{one.value_bytes:,} bytes, sha256 {one.sha256}"),
        ("key", key_text(one.key, letter.is_masked)),
        ("seen", f"{one.same:,} times the same, {_minute(one.first_seen)} to {_minute(one.last_seen)}"),
    ]
    if one.origin is not None:
        facts.append(("came from", f"redrive {one.attempt} of {place_text(one.origin)}"))
    if one.changed_by is not None and one.changed_at is not None:
        facts.append((one.state.value, f"{_minute(one.changed_at)} by {one.changed_by}: {one.purpose}"))
    if letter.landing is not None:
        became = letter.landing.outcome.value if letter.landing.outcome else "not consumed yet"
        why = f" ({letter.landing.reason})" if letter.landing.reason else ""
        facts.append(("went to", f"{place_text(letter.landing.place)}: {became}{why}"))
    return facts


def _on_the_log(letter: ShownLetter) -> str:
    if letter.record is None:
        return letter.record_missing or "not asked"
    at = letter.record.appended_at
    return f"{at:%Y-%m-%d %H:%M:%S} UTC, Kafka's time" if at else "without a time"


def _headers(letter: ShownLetter) -> Mapping[str, str]:
    return letter.record.headers_as_text(letter.is_masked) if letter.record else {}


def key_text(key: bytes | None, is_masked: bool) -> str:
    """Return a key as text: the hub's own keys say nothing about a person; others may."""
    if key is None:
        return "none stored"
    if len(key) == KEY_BYTES:
        return str(UUID(bytes=key))
    return f"{len(key)} bytes, not a key of the hub" if is_masked else key.hex()


def _stack(stack: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("stage", "checked by", "", box=None, pad_edge=False)
    for step in stack:
        said = plain("passed") if step["passed"] else styled("[red]refused[/red]")
        rule = " ".join(str(step[name]) for name in ("field", "rule", "sqlstate") if step.get(name))
        table.add_row(str(step["stage"]), str(step["by"]), styled("{} {}", said, rule) if rule else said)
    return table


def edits(found: Sequence[Edit]) -> Table:
    """Return the table of a letter's edits."""
    table = Table("edit", "by", "set", "sha256 before", "after", "approved", box=None, pad_edge=False)
    for one in found:
        approved = f"{one.approved_by}" if one.approved_by else "no"
        what = _changed(one.fields, is_value_same=one.before_sha256 == one.after_sha256)
        table.add_row(
            str(one.number),
            one.edited_by,
            what,
            one.before_sha256[:_SHORT],
            one.after_sha256[:_SHORT],
            approved,
        )
    return table


def dumped(value: bytes) -> list[str]:
    """Return bytes as lines of offset, hexadecimal digits and text."""
    lines = []
    for first in range(0, len(value), _BYTES_PER_LINE):
        part = value[first : first + _BYTES_PER_LINE]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{first:06x}  {part.hex(' '):<{3 * _BYTES_PER_LINE - 1}}  {text}")
    return lines


def as_json(one: Letter) -> dict[str, Any]:
    """Return a letter without its bytes."""
    return {
        "letter": place_text(one.place),
        "topic": one.place.topic,
        "partition": one.place.partition,
        "offset": one.place.offset,
        "reason": one.reason,
        "detail": one.detail,
        "schema_id": one.schema_id,
        "value_bytes": one.value_bytes,
        "sha256": one.sha256,
        "recorded_at": one.recorded_at.isoformat(),
        "source": one.source,
        "worker": one.worker,
        "stack": list(one.stack),
        "state": one.state.value,
        "changed_at": one.changed_at and one.changed_at.isoformat(),
        "changed_by": one.changed_by,
        "purpose": one.purpose,
        "same": one.same,
        "first_seen": one.first_seen.isoformat(),
        "last_seen": one.last_seen.isoformat(),
        "origin": one.origin and place_text(one.origin),
        "attempt": one.attempt,
    }


def shown_as_json(letter: ShownLetter) -> dict[str, Any]:
    """Return all that is known of a letter; bytes only if they were unmasked."""
    landing = letter.landing
    found = as_json(letter.letter) | {
        "masked": letter.is_masked,
        "appended_at": letter.record and letter.record.appended_at and letter.record.appended_at.isoformat(),
        "headers": dict(_headers(letter)),
        "edits": [edit_as_json(one) for one in letter.edits],
        "fields": letter.fields and {name: str(value) for name, value in letter.fields.items() if value is not None},
        "landing": landing
        and {
            "place": place_text(landing.place),
            "outcome": landing.outcome and landing.outcome.value,
            "reason": landing.reason,
        },
    }
    if not letter.is_masked:
        found |= {"key": (letter.letter.key or b"").hex(), "value": (letter.letter.value or b"").hex()}
    return found


def edit_as_json(one: Edit) -> dict[str, Any]:
    """Return an edit without its bytes."""
    return {
        "edit": one.number,
        "edited_at": one.edited_at.isoformat(),
        "edited_by": one.edited_by,
        "purpose": one.purpose,
        "before_sha256": one.before_sha256,
        "after_sha256": one.after_sha256,
        "fields": list(one.fields),
        "value_bytes": one.value_bytes,
        "approved_at": one.approved_at and one.approved_at.isoformat(),
        "approved_by": one.approved_by,
    }


def _minute(time: datetime) -> str:
    return f"{time:%m-%d %H:%M}"


def say_plan(to: Console, plan: RedrivePlan) -> None:
    """Print what a redrive would do."""
    if plan.letters:
        to.print(listed(plan.letters))
    for place, why in plan.left_out:
        to.print(plain(f"left out: {place_text(place)}: {why}"))
    if plan.interrupted:
        to.print(f"{plan.interrupted:,} letters of an interrupted redrive: they are searched in the log first")
    to.print(f"to send: {len(plan.letters):,}")


def _changed(fields: Sequence[str], is_value_same: bool) -> str:
    """Say what an edit changes: some fields, only the key, or the whole value."""
    return ", ".join(fields) or ("only the key" if is_value_same else "the whole value")


def say_edit(to: Console, plan: EditPlan) -> None:
    """Print what an edit changes, without a value."""
    what = _changed(plan.fields, is_value_same=plan.before_sha256 == plan.after_sha256)
    to.print(f"{place_text(plan.letter.place)}: changes {what}")
    to.print(f"before {plan.before_sha256}\nafter  {plan.after_sha256}, {len(plan.value):,} bytes")
    to.print(f"key: {'another' if plan.is_key_changed else 'the same'}; the new bytes: {plan.reads_as}")


def edit_plan_as_json(plan: EditPlan) -> dict[str, Any]:
    """Return what an edit changes, without a value."""
    return {
        "letter": place_text(plan.letter.place),
        "before_sha256": plan.before_sha256,
        "after_sha256": plan.after_sha256,
        "fields": list(plan.fields),
        "key_changed": plan.is_key_changed,
        "reads_as": plan.reads_as,
    }
