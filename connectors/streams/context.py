"""What the streams of a source share: declaration, database, state, schemas."""

from dataclasses import dataclass, field

from sqlalchemy import Engine

from connectors.declared.declaration import Declaration
from connectors.memory.readings import with_epoch
from connectors.memory.state import StateStore
from hub.codec.catalogue import Catalogue, load_catalogue


@dataclass(frozen=True, slots=True)
class Context:
    """What the streams of a source share."""

    declaration: Declaration
    engine: Engine
    state: StateStore
    secret: str = field(repr=False)
    catalogue: Catalogue = field(default_factory=load_catalogue)

    def close(self) -> None:
        """Close the connections to the source and to the state, and release the lock."""
        self.engine.dispose()
        self.state.close()


def declaration_in_force(context: Context) -> Declaration:
    """Return the declaration; its epoch is that of the last full reading that was asked for, if that is higher."""
    return with_epoch(context.declaration, context.state.full_reading())
