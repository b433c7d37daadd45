r"""Text from outside is shown and never interpreted: on terminals, in JSON and in logs.

A name from a source may hold anything: escape sequences that clear a terminal, characters that reverse the direction of
text, characters without width, line feeds that look like a new log line. Every character that controls or hides is
shown as an escape (``\x1b``, ``\u202e``).
"""

import logging
import logging.config
import re
from types import TracebackType
from typing import Any

_HIDDEN = (
    # C0, DEL and C1, except tab and line feed.
    "\x00-\x08\x0b-\x1f\x7f-\x9f"
    # Soft hyphen; marks that change the direction; characters without width; line and paragraph separators.
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    # Fillers, joiners and selectors that are not drawn.
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0"
    # Surrogates; signs of shorthand and musical layout; tags.
    "\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
STEERS = re.compile(f"[{_HIDDEN}]")
"""One character that controls a terminal or is invisible; line feed and tab are not included."""
_BREAKS = re.compile(f"[\t\n{_HIDDEN}]")
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def visible(text: str, lines: bool = False) -> str:
    """Return a text with all control characters and invisible characters as escapes.

    Args:
        text: any text.
        lines: keep line feeds and tabs, for a text that the hub itself has formatted.
    """
    return (STEERS if lines else _BREAKS).sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    letter = found.group()
    code = ord(letter)
    long = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return _SHORT.get(letter, long)


def barred(text: str) -> str:
    """Return a text with several lines, each made visible and after a bar, so that none looks like a log line."""
    return "\n".join(f"  | {visible(line)}" for line in text.split("\n"))


class LogLines(logging.Formatter):
    """Formats a record as one line, and a traceback as lines that do not look like records."""

    def __init__(self, line: str = "%(asctime)s %(levelname)s %(name)s: %(message)s") -> None:
        super().__init__(line)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line; a line feed in the message is shown as an escape."""
        return visible(super().formatMessage(record))

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """Return the traceback, each line after a bar."""
        return barred(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        """Return the stack, each line after a bar."""
        return barred(stack_info)


OWN_LOGGERS = ("hub", "connectors")


def logging_config(level: str = "INFO") -> dict[str, Any]:
    """Return a hub process's logging configuration (``dictConfig``): to standard error, one line a record.

    Args:
        level: ``INFO``: the hub's own records from INFO on, the libraries' from WARNING on. ``DEBUG``: the hub's from
            DEBUG on, the libraries' from INFO on.
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
    """Print warnings, in a process that does not log, as lines without control characters."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LogLines("%(message)s"))


def log_to_stderr(level: str = "INFO") -> None:
    """Log as in ``logging_config``, unless logging is already configured."""
    if not logging.getLogger().handlers:
        logging.config.dictConfig(logging_config(level))
