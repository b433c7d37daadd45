"""The catalogue of procedures from a file, for a hub without a portal that publishes it.

The file is read (``reading``: a CSV, ``portal_answer``: the national portal's own answer) and compared with what the
source has said; differences are published (``publishing``).
"""
