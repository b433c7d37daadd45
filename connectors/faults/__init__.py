"""What a source's driver error means: come back later, a mistake in the declaration, a row, or a bug."""

from connectors.faults.translation import LimitError, SourceFaultError, SourceRowError, TableChangedError, translated

__all__ = ["LimitError", "SourceFaultError", "SourceRowError", "TableChangedError", "translated"]
