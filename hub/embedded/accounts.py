"""The account PostgreSQL runs under: ours, or an unprivileged one if we are root, because PostgreSQL refuses root.

The unprivileged account may be unable to reach the programs or the data, if they are below a folder that only root
may enter. We may not open those folders to others. So the account gets the capability to pass them
(``CAP_DAC_OVERRIDE``) and nothing more.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hub.embedded.environment import server_environment
from hub.embedded.errors import EngineError

_UNPRIVILEGED = "nobody"
_CAPABILITIES = "+dac_override,+dac_read_search"
_PROBE_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs a command: ``ids`` to switch to, or a ``prefix`` command that switches; both empty: ourselves."""

    ids: tuple[int, int] | None = None
    prefix: tuple[str, ...] = ()

    def run(self, command: list[str], timeout_s: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end under the account and return its output."""
        uid, gid = self.ids or (None, None)
        return subprocess.run(
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout_s,
            cwd="/",
            env=server_environment(),
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
        )


def own_folder(folder: Path) -> None:
    """Create the folder if it is missing; only the account that PostgreSQL runs under may enter it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(folder, *_unprivileged_ids())


def account_for(program: Path, folder: Path) -> Account:
    """Choose an account that can run ``program`` on ``folder`` and is not root.

    Raises:
        EngineError: there is none; the message says what to do.
    """
    if os.geteuid() != 0:
        return Account()
    uid, gid = _unprivileged_ids()
    plain = Account(ids=(uid, gid))
    if _works(plain, program, folder):
        return plain
    setpriv = shutil.which("setpriv")
    if setpriv is not None:
        lent = Account(
            prefix=(
                *(setpriv, "--reuid", str(uid), "--regid", str(gid), "--clear-groups"),
                *(f"--inh-caps={_CAPABILITIES}", f"--ambient-caps={_CAPABILITIES}"),
                # Without it, access(2), with which PostgreSQL looks for its programs, ignores capabilities.
                *("--securebits", "+no_setuid_fixup"),
            )
        )
        if _works(lent, program, folder):
            return lent
    raise EngineError(
        f"PostgreSQL must not run as root, and the account {_UNPRIVILEGED!r} cannot enter the folders above "
        f"{program} or {folder}. "
        "Run the hub as an ordinary user, or install it and set HUB_DATA_DIR in folders that others may enter "
        "(chmod o+x on each), or install util-linux's setpriv and allow CAP_DAC_OVERRIDE and CAP_SETPCAP."
    )


def _works(account: Account, program: Path, folder: Path) -> bool:
    try:
        runs = account.run([str(program), "--version"], _PROBE_TIMEOUT_S).returncode == 0
        return runs and account.run(["test", "-w", str(folder)], _PROBE_TIMEOUT_S).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _unprivileged_ids() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError as error:
        raise EngineError(
            f"PostgreSQL must not run as root and there is no account {_UNPRIVILEGED!r}; "
            "run the hub as an ordinary user"
        ) from error
    return entry.pw_uid, entry.pw_gid
