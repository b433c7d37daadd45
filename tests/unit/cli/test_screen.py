"""What comes from outside steers no terminal, forges no line of a log, and stays JSON in JSON."""

import ast
import io
import json
import logging
import logging.config
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import Progress, TextColumn
from rich.table import Column, Table
from rich.text import Text

import hub
from hub.cli.shared.screen import Screen, plain, say, say_json, show_bugs_visibly, styled
from hub.model.texts.visible import LogLines, logging_config, visible, warn_in_lines

HUB = Path(hub.__file__).parent
STEERING = {
    "C0": "\x00\x07\x08\x0b\x0c\r\x1b[2J\x1f",
    "DEL and C1": "\x7f\x80\x9b2J\x9f",
    "bidi": "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "zero width": "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u115f\u3164\uffa0\ufe0f\U000e0041",
    "separators": "\u2028\u2029",
    "half a letter": "\udfff\ud800",
}
NAME = "Người [/i][red]Một[/red] :smile: " + "".join(STEERING.values())
SHOWN = "Người [/i][red]Một[/red] :smile: \\x00\\x07\\x08\\x0b\\x0c\\r\\x1b[2J\\x1f"


def steering_in(text: str) -> set[str]:
    return set("".join(STEERING.values())) & set(text) - set("[2JA")


def printed(*things: object, **options: object) -> str:
    screen = Screen(file=io.StringIO(), force_terminal=True, color_system=None, width=400)
    screen.print(*things, **options)
    return screen.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def table_of(cell: str | Text) -> Table:
    table = Table("name", title=cell, caption=cell)
    table.add_row(cell)
    return table


@pytest.mark.parametrize("kind", STEERING)
def test_visible_shows_each_kind_as_escapes(kind: str) -> None:
    shown = visible(STEERING[kind])
    assert steering_in(shown) == set()
    assert shown.encode().decode("unicode_escape").encode("utf-16", "surrogatepass") == STEERING[kind].encode(
        "utf-16", "surrogatepass"
    )


def test_visible_leaves_letters_of_names_and_line_feeds_where_asked() -> None:
    names = "Nguyễn Thị Hồng Ngọc, Y Blăk Êban, Nguyễn"
    assert visible(names) == names
    assert visible("a\tb\nc") == "a\\tb\\nc"
    assert visible("a\tb\nc", lines=True) == "a\tb\nc"


@pytest.mark.parametrize("thing", [NAME, plain(NAME), styled("[bold]{}[/bold]", NAME), table_of(NAME)])
def test_screen_shows_what_steers_and_reads_no_markup(thing: object) -> None:
    shown = printed(thing)
    assert SHOWN in shown.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert steering_in(shown) == set()


def test_screen_shows_what_steers_in_a_text_that_a_view_made_itself() -> None:
    assert steering_in(printed(Text("a\x1b]8;;http://x\x07b\u202ec"))) == set()


def test_screen_shows_what_steers_in_progress() -> None:
    screen = Screen(file=io.StringIO(), force_terminal=True, color_system=None, width=400)
    with Progress(TextColumn("{task.fields[name]}", markup=False), console=screen) as progress:
        progress.add_task("", name=NAME)
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "\\x00\\x1b" in shown
    assert steering_in(re.sub("\r?\x1b\\[(2K|\\?25[hl])", "", shown)) == set()


def test_styled_reads_markup_in_the_template_alone() -> None:
    text = styled("[bold]{}[/bold] of {:,}", "[red]x[/red]\n\\", 1234)
    assert text.plain == "[red]x[/red]\\n\\ of 1,234"
    assert [(span.start, span.end, span.style) for span in text.spans] == [(0, 15, "bold")]
    assert styled("a {}", styled("[red]{}[/red]", "[b]")).plain == "a [b]"


def test_say_shows_what_steers(capsys: pytest.CaptureFixture[str]) -> None:
    say(NAME)
    say(NAME, error=True)
    for shown in capsys.readouterr():
        assert shown.startswith(SHOWN)
        assert steering_in(shown) == set()


def test_json_stays_json_and_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({NAME: [NAME + "\n"]})
    shown = capsys.readouterr().out
    assert "Người" in shown
    assert steering_in(shown) == set()
    assert shown.count("\n") == 1
    assert json.loads(shown) == {NAME: [NAME + "\n"]}


def test_log_record_is_one_line_whatever_it_says() -> None:
    record = logging.LogRecord("hub", logging.INFO, "x", 1, "read %s", (NAME + "\n2026-01-01 ERROR hub: forged",), None)
    line = LogLines().format(record)
    assert "\n" not in line
    assert steering_in(line) == set()
    assert line.endswith("\\n2026-01-01 ERROR hub: forged")


def test_traceback_in_a_log_cannot_be_taken_for_records() -> None:
    try:
        raise ValueError(NAME + "\n2026-01-01 ERROR hub: forged")
    except ValueError:
        record = logging.LogRecord("hub", logging.ERROR, "x", 1, "failed", (), sys.exc_info(), sinfo="Stack\x1b[2J\nof")
    _, *more = LogLines().format(record).split("\n")
    assert more
    assert all(line.startswith("  | ") for line in more)
    assert steering_in("".join(more)) == set()


def test_warnings_of_a_process_that_does_not_log_steer_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    warn_in_lines()
    assert logging.lastResort is not None
    record = logging.LogRecord("hub", logging.WARNING, "x", 1, "a\x1b[2J\nb", (), None)
    assert logging.lastResort.format(record) == "a\\x1b[2J\\nb"


def test_workers_log_in_such_lines() -> None:
    assert logging_config()["formatters"] == {"lines": {"()": LogLines}}


def test_traceback_of_a_bug_steers_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    show_bugs_visibly()
    sys.excepthook(ValueError, ValueError(NAME), None)
    assert SHOWN in capsys.readouterr().err


def calls_in(path: Path) -> list[tuple[int, str]]:
    """Return the functions that a module calls, with their lines."""
    tree = ast.parse(path.read_text("utf-8"))
    return [(node.lineno, ast.unparse(node.func)) for node in ast.walk(tree) if isinstance(node, ast.Call)]


PAST_THE_PLACE = {
    "print",
    "typer.echo",
    "typer.secho",
    "click.echo",
    "Console",
    "rich.print",
    "pprint",
    "sys.stdout.write",
    "sys.stderr.write",
    "Text",
    "Text.from_markup",
    "Text.from_ansi",
    "logging.basicConfig",
    "csv.writer",
}


def test_no_module_of_the_command_line_prints_past_the_screen() -> None:
    """The package itself prints the page of commands, which holds no value, before the screen is imported."""
    found = [
        f"{path.name}:{line}: {call}"
        for path in sorted((HUB / "cli").rglob("*.py"))
        if path not in (HUB / "cli" / "shared" / "screen.py", HUB / "cli" / "__init__.py")
        for line, call in calls_in(path)
        if call in PAST_THE_PLACE
    ]
    assert found == []


def test_no_other_module_of_the_hub_prints_at_all() -> None:
    prints = PAST_THE_PLACE - {"Text"}
    found = [
        f"{path.relative_to(HUB.parent)}:{line}: {call}"
        for root in (HUB, HUB.parent / "connectors")
        for path in sorted(root.rglob("*.py"))
        if HUB / "cli" not in path.parents and path.name != "visible.py"
        for line, call in calls_in(path)
        if call in prints
    ]
    assert found == []


def test_markup_stands_in_templates_only() -> None:
    """A style in a string that is printed as it is would be shown as text."""
    found = []
    for path in sorted((HUB / "cli").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        templates = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "styled"
            for part in ast.walk(node.args[0])
        }
        found += [
            f"{path.name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in templates
            and any(f"[/{style}]" in node.value for style in ("bold", "dim", "red", "green", "yellow", "cyan"))
        ]  # fmt: skip
    assert found == []


_WORDS = st.text(st.sampled_from("abcdef0123456789./@-"), min_size=1, max_size=70)
_CELLS = st.lists(_WORDS, min_size=1, max_size=4).map(" ".join)


@given(
    rows=st.lists(st.lists(_CELLS, min_size=4, max_size=4), min_size=1, max_size=4), width=st.sampled_from([80, 100])
)
def test_no_table_breaks_a_word_so_keys_ids_and_places_can_be_copied(rows: list[list[str]], width: int) -> None:
    table = Table("one", "two", Column("three", overflow="fold"), "four", box=None)
    for row in rows:
        table.add_row(*row)
    file = io.StringIO()
    Screen(file=file, width=width).print(table)
    shown = file.getvalue().split()
    assert sorted(shown) == sorted(
        ["one", "two", "three", "four", *(word for row in rows for c in row for word in c.split())]
    )


def test_table_that_fits_by_breaking_at_spaces_keeps_within_the_width() -> None:
    table = Table("id", "meaning", box=None)
    table.add_row("5f0e7c4a-8f7c-4a54-9a53-0f8f7a0f4f11", "one word after another " * 8)
    file = io.StringIO()
    Screen(file=file, width=80).print(table)
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "5f0e7c4a-8f7c-4a54-9a53-0f8f7a0f4f11" in file.getvalue()
