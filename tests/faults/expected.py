"""What each case must show: declared beside its script, taken from its README, never from what is printed."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

CASES = Path(__file__).parent
ROOT = CASES.parents[1]
NEEDS = ("engine", "worker", "own")
"""What must run beside a script: the engine; a worker too; or an engine of its own, where it starts its worker."""


@dataclass(frozen=True, slots=True)
class See:
    """One thing to see in a script's output, or not to see.

    Fields:
        what: in words.
        pattern: a regular expression; ``.`` is any character.
        is_wanted: it must appear; else it must not.
        or_file, says: where the README lets the docs answer: a file of the project, and what it must say instead.
    """

    what: str
    pattern: str
    is_wanted: bool
    or_file: str | None = None
    says: str | None = None

    def is_met(self, output: str) -> bool:
        """Tell whether an output is as it must be."""
        if (re.search(self.pattern, output, re.DOTALL) is not None) is self.is_wanted:
            return True
        return bool(self.or_file and re.search(self.says or "", (ROOT / self.or_file).read_text("utf-8")))


@dataclass(frozen=True, slots=True)
class Case:
    """A case: its folder's name, what must run beside it, what to see. ``timeout_s``: of its script."""

    name: str
    needs: str
    sees: tuple[See, ...]
    timeout_s: float

    @property
    def number(self) -> str:
        """Its number, as the command line takes it."""
        return self.name[:2]

    @property
    def expected(self) -> str:
        """The line of the README that says what is expected."""
        lines = (CASES / self.name / "README.md").read_text("utf-8").splitlines()
        return next(line.removeprefix("Expected: ") for line in lines if line.startswith("Expected: "))

    def missed(self, output: str, exit_code: int | None) -> list[str]:
        """Say what is not as it must be; empty when the case is met.

        Args:
            output: all that the script printed.
            exit_code: of the script; None: it did not end in time.
        """
        ended = {0: [], None: ["the script did not end"]}.get(exit_code, [f"the script ended with {exit_code}"])
        return ended + [see.what for see in self.sees if not see.is_met(output)]


def read_case(name: str) -> Case:
    """Read a case's declaration."""
    declared = tomllib.loads((CASES / name / "expect.toml").read_text("utf-8"))
    sees = []
    for one in declared["see"]:
        is_wanted = "must" in one
        pattern = one["must" if is_wanted else "must_not"]
        sees.append(See(one["what"], pattern, is_wanted, one.get("or_file"), one.get("says")))
    return Case(name, declared["needs"], tuple(sees), float(declared.get("timeout_s", 400)))


def all_cases() -> list[Case]:
    """Return every case, by number."""
    return [read_case(folder.name) for folder in sorted(CASES.iterdir()) if (folder / "repro.py").exists()]
