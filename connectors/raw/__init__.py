"""What a source's driver gives for a value: all that the database can hold, none of it lost on the way.

A driver's Python types are narrower than its database's: ``date`` ends with the year 9999, text must be valid UTF-8, a
month is no number of days. Here each driver is told to give its Python value where that says the same, and the
database's own text where it does not. What such a text means is decided field by field, by the grammar of the field.
"""
