"""Commands about targets that run containers, and about images.

Words of a person enter; what the platform answers leaves, as a table, as files or as JSON.
Nothing here builds or runs anything itself.
"""
