"""The PROMETHEUS model server."""
