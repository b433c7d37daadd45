"""The encoded values of one field of a page, and what is noted of some of them."""

from collections.abc import Callable, Iterable, Sequence

from connectors.conversion.getters import Row

Pieces = Iterable[bytes | None]
"""Per row the bytes of its value; None if the row path must handle the row."""


class Fill:
    """Encodes a declared field of all rows. ``is_noting``: a value with notes was met, so a page may have some."""

    def __init__(self, pieces: Callable[[Sequence[Row]], Pieces]) -> None:
        self.pieces = pieces
        self.is_noting = False


class NotedPiece(bytes):
    """An encoded value with notes (``hub.model.values.doubtful``)."""

    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, piece: bytes, notes: tuple[str, ...]) -> "NotedPiece":
        """Return the piece with its notes."""
        made = cls(piece)
        made.notes = notes
        return made


def noting(fill: Fill, rows: Sequence[Row], notes: dict[int, list[str]]) -> Pieces:
    """Return a field's pieces, and add their notes to ``notes``, by the row's place."""
    pieces = fill.pieces(rows)
    if fill.is_noting:
        pieces = list(pieces)
        for place, piece in enumerate(pieces):
            if isinstance(piece, NotedPiece):
                notes.setdefault(place, []).extend(piece.notes)
    return pieces
