"""The operator's act: a province's mapping goes wrong; an operator finds it, corrects it, and proves it.

Everything uses the commands that an operator has. A new release of Nam Định's connector reads 03/12/1980 as the 12th of
March: nothing fails, only conflicts increase. A replay withdraws what the province said after the release; the
corrected connector sends it again. A dead letter of the first act is edited, approved by a second person, and redriven.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from hub.demo.sources.load import libpq_url
from hub.demo.stage import Stage, declaration
from hub.demo.story import Story

_SOURCE, _PROVINCE, _SUBJECT = "namdinh.motcua", "H40", "citizen.changed"
_DAY_FIRST, _MONTH_FIRST = "%d/%m/%Y", "%m/%d/%Y"
_DESK, _SECOND, _HEAD = "CB-0042", "CB-0007", "CB-0001"
_MOST = "1000000"

_SEND_AGAIN = """
INSERT INTO hop_thu_di (loai, phien_ban, thao_tac, noi_dung, tao_luc)
SELECT loai, %(version)s, 'S', noi_dung, tao_luc + (%(version)s - 1) * interval '1 day'
FROM hop_thu_di WHERE loai = 'CD' AND phien_ban = 1 ORDER BY stt
"""


@dataclass(frozen=True, slots=True)
class OperatorReport:
    """What the act showed.

    Fields:
        conflicts_before, conflicts_wrong, conflicts_switched, conflicts_after: open conflicts with Nam Định: before the
            bad release, after it, when the replay was live, and when the corrected connector had sent everything again.
        suspects: the fields most often in conflict after the bad release, with their counts.
        replay: its number; ``rows`` it changed, added or removed; ``published``: records that differed.
        redriven: dead letters that were edited, approved and sent again.
        is_ledger_whole: whether ``hub ledger --check`` found everything that the audit log names.
    """

    conflicts_before: int
    conflicts_wrong: int
    conflicts_switched: int
    conflicts_after: int
    suspects: Mapping[str, int]
    replay: int
    rows: int
    published: int
    redriven: int
    is_ledger_whole: bool

    @property
    def is_mended(self) -> bool:
        """Whether the province's claims are as before, the letter came through, and every record has an outcome."""
        found = self.conflicts_wrong > self.conflicts_before
        back = self.conflicts_switched == self.conflicts_after == self.conflicts_before
        return found and back and self.redriven == 1 and self.is_ledger_whole

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {**asdict(self), "mended": self.is_mended}


def play_operator(stage: Stage, story: Story, wait_for_drain: Callable[[Stage], None]) -> OperatorReport:
    """Play the act on a warehouse that has merged everything.

    Raises:
        HubError: a command did not do what it should.
    """
    before = _conflicts(stage)
    right_until = datetime.now(UTC)
    _send_people_again(stage, 2, _with_bad_mapping(stage))
    wait_for_drain(stage)
    wrong = _conflicts(stage)
    suspects = Counter(wrong) - Counter(before)
    stage.say(
        f"conflicts with {_SOURCE} rose by {suspects.total():,}, most in {', '.join(dict(suspects.most_common(2)))}"
    )
    number, rows, published = _replay(stage, right_until)
    wait_for_drain(stage)
    switched = _conflicts(stage)
    stage.say("the connector's mapping is corrected; Nam Định sends its people again")
    _send_people_again(stage, 3, declaration("namdinh"))
    redriven = _mend_letter(stage)
    wait_for_drain(stage)
    ledger = stage.ask("ledger", "--check")
    return OperatorReport(
        conflicts_before=before.total(),
        conflicts_wrong=wrong.total(),
        conflicts_switched=switched.total(),
        conflicts_after=_conflicts(stage).total(),
        suspects=dict(suspects.most_common(3)),
        replay=number,
        rows=rows,
        published=published,
        redriven=redriven,
        is_ledger_whole=bool(ledger["balanced"]),
    )


def _conflicts(stage: Stage) -> Counter[str]:
    """Count the open conflicts with the province's system, by field."""
    asked = ("review", "list", "--kind", "CONFLICT", "--source", _SOURCE, "--aspect", "citizen.person")
    return Counter(str(one["field"]) for one in stage.ask(*asked, "--limit", _MOST)["questions"])


def _with_bad_mapping(stage: Stage) -> Path:
    """Write the declaration of the bad release: month before day."""
    right = declaration("namdinh")
    wrong = stage.settings.data_dir / f"{right.stem}.toml"
    wrong.write_text(right.read_text("utf-8").replace(_DAY_FIRST, _MONTH_FIRST), "utf-8")
    return wrong


def _send_people_again(stage: Stage, version: int, path: Path) -> None:
    with psycopg.connect(libpq_url(stage.urls["namdinh"])) as connection:
        sent = connection.execute(_SEND_AGAIN, {"version": version}).rowcount
    stage.say(f"{sent:,} people are exported again by {_SOURCE}")
    stage.wait_for([stage.run_connector(path)])


def _replay(stage: Stage, right_until: datetime) -> tuple[int, int, int]:
    """Plan, run, compare and switch; return the replay's number, the rows it changed, the records it published."""
    why = ("--reason", "bad release: day and month swapped", "--officer", _DESK)
    scope = ("--province", _PROVINCE, "--subject", _SUBJECT, "--until", right_until.isoformat())
    number = int(stage.ask("replay", "plan", *scope, "--publish", *why)["id"])
    stage.ask("replay", "run", str(number), "--execute", *why)
    tables = stage.ask("replay", "diff", str(number))["tables"]
    rows = sum(one["added"] + one["changed"] + one["removed"] for one in tables)
    done = stage.ask("replay", "switch", str(number), "--execute", *why)
    stage.say(f"replay {number} is live: {rows:,} rows differ, {done['published']:,} records are published")
    return number, rows, int(done["published"])


def _mend_letter(stage: Stage) -> int:
    """Correct the letter with an epoch below zero, have a second person approve it, and send it again."""
    letters = stage.ask("deadletters", "list", "--cause", "INVALID_VALUE")["letters"]
    letter = next(one["letter"] for one in letters if one["state"] == "open" and "source_epoch" in one["detail"])
    why = ("--reason", "its export was the first", "--officer", _DESK)
    word = secrets.token_urlsafe(16)
    stage.ask(
        "operators",
        "add",
        _SECOND,
        "--reason",
        "second person tonight",
        "--officer",
        _HEAD,
        "--execute",
        more={"HUB_NEW_CREDENTIAL": word},
    )
    stage.ask("deadletters", "edit", letter, "--set", "source_epoch=1", *why, "--execute")
    seen = ("--reason", "its export seen, too", "--execute")
    stage.ask("deadletters", "approve", letter, "--approved-by", _SECOND, *seen, more={"HUB_APPROVER_CREDENTIAL": word})
    return int(stage.ask("deadletters", "redrive", letter, *why, "--execute")["sent"])
