"""Forecasts: what would be, and what would be better.

Specs, traces and recordings enter, and tables, plots and suggestions leave.
Nothing that runs is changed.
"""
