r"""What comes from outside is shown, never obeyed: on terminals, in JSON and in logs.

A name from a source may hold anything: escape sequences that clear a terminal, letters that turn the line around,
letters of no width, line feeds that look like a new line of a log. All that steers or hides is shown as an escape
(``\x1b``, ``\u202e``).
"""

import logging
import logging.config
import re
from types import TracebackType
from typing import Any

_HIDDEN = (
    # C0, DEL and C1; but not tab and line feed.
    "\x00-\x08\x0b-\x1f\x7f-\x9f"
    # Soft hyphen; marks that turn the direction; letters of no width; separators of lines and paragraphs.
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    # Fillers, joiners and selectors that are drawn as nothing.
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0"
    # Halves of letters; signs of shorthand and musical layout; tags.
    "\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
STEERS = re.compile(f"[{_HIDDEN}]")
"""One character that steers a terminal or cannot be seen; line feed and tab are none."""
_BREAKS = re.compile(f"[\t\n{_HIDDEN}]")
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def visible(text: str, lines: bool = False) -> str:
    """Return a text with all that steers a terminal, or cannot be seen, as escapes.

    Args:
        text: from anywhere.
        lines: leave line feeds and tabs, for a text that the hub has laid out itself.
    """
    return (STEERS if lines else _BREAKS).sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    letter = found.group()
    code = ord(letter)
    long = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return _SHORT.get(letter, long)


def barred(text: str) -> str:
    """Return a text of several lines, each visible and behind a bar: none can be taken for a line of the log."""
    return "\n".join(f"  | {visible(line)}" for line in text.split("\n"))


class LogLines(logging.Formatter):
    """Formats a record as one line, and a traceback as lines that cannot be taken for records."""

    def __init__(self, line: str = "%(asctime)s %(levelname)s %(name)s: %(message)s") -> None:
        super().__init__(line)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line; a line feed in the message is shown as one."""
        return visible(super().formatMessage(record))

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """Return the traceback, each line behind a bar."""
        return barred(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        """Return the stack, each line behind a bar."""
        return barred(stack_info)


OWN_LOGGERS = ("hub", "connectors")


def logging_config(level: str = "INFO") -> dict[str, Any]:
    """Return how a process of the hub logs (``logging.config.dictConfig``): on standard error, one line a record.

    Args:
        level: ``INFO``: the hub's own lines from information on, the libraries' from warnings on. ``DEBUG``: the hub's
            from debugging on, the libraries' from information on.
    """
    of_libraries = "INFO" if level == "DEBUG" else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": LogLines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "loggers": {name: {"level": level} for name in OWN_LOGGERS},
        "root": {"level": of_libraries, "handlers": ["stderr"]},
    }


def warn_in_lines() -> None:
    """Print warnings, of a process that does not log, as lines that steer no terminal."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LogLines("%(message)s"))


def log_to_stderr(level: str = "INFO") -> None:
    """Log as ``logging_config`` says, where nobody has chosen how yet."""
    if not logging.getLogger().handlers:
        logging.config.dictConfig(logging_config(level))
