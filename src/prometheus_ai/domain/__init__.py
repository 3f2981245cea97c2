"""The words of the platform: frozen values and their invariants.

Plain data enters and valid values leave.
Every other package speaks in these values.
Nothing here does I/O, reads a clock or knows how a value is stored or shown.
"""
