"""What a step function means, in Python and in machine code: numbers, functions, series.

A step means what Python with floats, whole numbers and truth values means. `plain` gives it those
in Python; the other modules translate each operation into machine code of the same bytes, or
refuse it by name and line.
"""
