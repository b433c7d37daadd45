"""The README's first start, word for word: the commands of its code block, from a clone to a record of the portal."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.config import Settings
from tests.e2e.hub_process import HUB, clean_environment
from tests.support.patience import HANG_S

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"<!-- first start -->\n```\n(.*?)```\n<!-- /first start -->", re.DOTALL)
CODE = "H42.12.34-260701-0001"
LIMIT_S = HANG_S


def commands() -> str:
    found = BLOCK.search((ROOT / "README.md").read_text("utf-8"))
    assert found, "README.md has no block of the first start"
    return found[1]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home folder of a newcomer; what was started in it is stopped."""
    yield tmp_path
    folder = tmp_path / "first-start"
    if folder.exists():
        subprocess.run([HUB, "down"], cwd=folder, env=clean_environment({}), capture_output=True, check=False)


def run(script: str, home: Path) -> tuple[int, str]:
    """Run a script as a newcomer's shell would; whatever it leaves running ends with it."""
    given = {"HOME": str(home), "HUB_CACHE_DIR": str(Settings().cache_dir)}
    shell = subprocess.Popen(
        ["/bin/bash", "-e"],
        cwd=ROOT,
        env=clean_environment(given),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = shell.communicate(script, timeout=LIMIT_S)
        return shell.returncode, printed
    finally:
        if shell.returncode != 0:
            os.killpg(shell.pid, signal.SIGTERM)


def test_readme_leads_from_a_clone_to_the_first_record_on_the_portals_topic(home: Path) -> None:
    code, printed = run(commands(), home)
    assert code == 0, printed
    checked, _, ran = printed.partition("hub procedures load FILE")
    assert "submitted -> dossier.submitted" in checked
    assert "warning" not in checked
    record, _, traced = ran.partition("\ndossier ")
    assert "hub.dossier.record.v1/" in record
    assert f"dossier_code: {CODE}" in record
    assert "Nguyễn Văn Thử" not in printed
    assert traced.count("applied") == 2
    assert "stopped: kafka, postgres" in traced


def test_readme_names_every_file_of_the_first_start() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    files = sorted(path.name for path in (ROOT / "docs" / "examples" / "first-start").iterdir())
    assert [name for name in files if f"| `{name}` |" not in readme] == []
