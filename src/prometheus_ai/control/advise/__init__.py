"""Advice: what a backend should be given, from what was measured of it.

A backend's windows, profile, usage and starts enter.
Suggestions with their risks, and recordings that a simulation can be run on, leave.
Nothing is changed by it: a person takes a suggestion into the spec, or leaves it.
"""
