"""The PROMETHEUS platform."""
