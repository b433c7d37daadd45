"""From a declaration to connectors that can run: find the databases, check the declaration against the schemas."""

from collections.abc import Mapping

from connectors.checks.check import require_fit
from connectors.declared.declaration import Declaration
from connectors.declared.load import url_of
from connectors.engines import open_engine, open_source
from connectors.memory.state import StateStore
from connectors.streams.context import Context
from connectors.streams.sql import SqlConnector
from hub.codec.catalogue import Catalogue, load_catalogue
from hub.model.errors import ConfigError


def open_context(
    declaration: Declaration,
    secret: str,
    environ: Mapping[str, str],
    catalogue: Catalogue | None = None,
    requires_fit: bool = True,
) -> Context:
    """Return what a source's streams share; connects to nothing yet. Without ``requires_fit``, streams may not fit.

    Raises:
        ConfigError: a variable is not set, or the declaration does not fit the schemas; then with every problem.
    """
    catalogue = catalogue or load_catalogue()
    if requires_fit:
        require_fit(declaration, catalogue)
    url = url_of(declaration.database, environ)
    if url is None:
        raise ConfigError([f"source {declaration.code}: url or url_env is missing"])
    state_url = url_of(declaration.state, environ)
    # the state has its own engine even in the same database: raw values are wanted only when reading the source
    state_engine = open_engine(state_url or url)
    return Context(
        declaration=declaration,
        engine=open_source(url),
        state=StateStore(state_engine, declaration.state_schema, declaration.code),
        secret=secret,
        catalogue=catalogue,
    )


def connectors_of(context: Context) -> tuple[SqlConnector, ...]:
    """Return one connector per stream."""
    return tuple(SqlConnector(context, stream) for stream in context.declaration.streams)
