"""What a source's driver error means: try again later, a mistake in the declaration, a bad row, or a bug."""

from connectors.faults.translation import LimitError, SourceFaultError, SourceRowError, TableChangedError, translated

__all__ = ["LimitError", "SourceFaultError", "SourceRowError", "TableChangedError", "translated"]
