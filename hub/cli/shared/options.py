"""Options that many commands share, worded once."""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Execute = Annotated[
    bool, typer.Option("--execute", help="Do it; without this, the command only prints what it would do.")
]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; needed with --execute.")]
Officer = Annotated[str | None, typer.Option("--officer", help="Code of the officer; by default the user name.")]
