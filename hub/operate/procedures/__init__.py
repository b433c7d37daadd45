"""The catalogue of procedures from a file, for a hub that has no portal yet which publishes it.

A file is read (``reading``: a CSV, ``portal_answer``: the national portal's own answer), compared with what the source
has said, and what differs is published (``publishing``).
"""
