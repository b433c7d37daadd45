"""A new schema version in a warehouse that has events of the old one: all of them stay readable (I6)."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hub.codec.catalogue import load_catalogue
from hub.codec.encode import Encoder
from tests.support.merge_world import SUBJECT, Said, open_world
from tests.support.patience import HANG_S
from tests.support.schema_folder import optional_field, publish_next
from tests.support.schema_samples import sample_event

SECRET = "a secret of the tests"  # noqa: S105 - of no system
FOLLOWING = load_catalogue().latest(SUBJECT).number + 1
_ROOT = Path(__file__).resolve().parents[3]
_LATER_HUB = """
import json, sys
from hub.codec.catalogue import load_catalogue
from hub.codec.decode import decode
from hub.codec.encode import Encoder
from hub.intake.checks.check import SourceRules
from hub.intake.decode.decoder import GuardedDecoder
from hub.intake.prepare import Polled, Preparer
from tests.support.merge_world import POLICY, SUBJECT, TOPIC, open_world

url, secret, key, old = sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3]), bytes.fromhex(sys.argv[4])
fields = decode(old)[1]
new = Encoder(SUBJECT, secret).encode(fields | {"source_version": 3, "nickname": "Bi"})
world = open_world(url)
with GuardedDecoder(30.0, 2048) as decoder:
    preparer = Preparer(decoder, SourceRules.of(POLICY, world.numbers), secret)
    for number, value in enumerate((old, new, old)):
        polled = Polled(world.logs[1], TOPIC, 1, number, [number], [key], [value])
        world.store.commit(preparer.prepare([polled]))
print(json.dumps({
    "number": load_catalogue().latest(SUBJECT).number,
    "outcomes": world.outcomes(),
    "claims": [list(row) for row in world.rows("SELECT source_version, full_name, nickname FROM citizen_person_claim")],
}))
"""


def _later_hub(folder: Path) -> None:
    """A copy of the project in which the next version of a schema was published."""
    for name in ("hub", "tests", "schemas"):
        shutil.copytree(_ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "results"))

    def with_nickname(schema: dict[str, Any]) -> None:
        schema["fields"].append(optional_field("nickname"))

    assert publish_next(folder / "schemas", SUBJECT, with_nickname) == FOLLOWING


def test_i6_event_of_an_older_schema_is_merged_after_the_next_was_published(database_url: str, tmp_path: Path) -> None:
    fields = sample_event(load_catalogue().latest(SUBJECT), optional=False)
    fields |= {name: value for name, value in Said(1, "population", 1).fields().items() if name != "event_id"}
    encoder = Encoder(SUBJECT, SECRET)
    key, old = encoder.key(fields), encoder.encode(fields | {"source_version": 2})
    world = open_world(database_url)
    world.commit([Said(1, "population", 1)])
    world.engine.dispose()
    _later_hub(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", _LATER_HUB, database_url, SECRET, key.hex(), old.hex()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["number"] == FOLLOWING
    assert found["outcomes"] == ["applied", "applied", "applied", "stale"]
    assert sorted(found["claims"], key=str) == [[1, "A", None], [3, "A", "Bi"]]
