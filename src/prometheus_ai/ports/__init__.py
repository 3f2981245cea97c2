"""The seams: one Protocol a file, with its promises.

Values of ``domain/`` go in and come out.
Every adapter of a port passes the one contract suite in ``testing/``.
Nothing here has behaviour, and nothing here knows an adapter.
"""
