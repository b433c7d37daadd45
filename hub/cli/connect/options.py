"""Options and arguments that commands of connectors share."""

from pathlib import Path
from typing import Annotated

import typer

Declared = Annotated[Path, typer.Argument(help="The source's declaration (TOML).", metavar="DECLARATION.toml")]
