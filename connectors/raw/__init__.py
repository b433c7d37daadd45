"""What a source's driver returns for a value: everything that the database can hold, with nothing lost.

A driver's Python types are narrower than its database's: ``date`` ends with the year 9999, text must be valid UTF-8, a
month is not a number of days. Here each driver is set up to return its Python value if that has the same meaning, and
the database's own text if not. The grammar of the field then decides what such a text means.
"""
