"""Steps of the schema, oldest first by number.

Each step takes the database from the one before it.
A step that was released is never edited; a new one is added.
Nothing here is imported by the program itself.
"""
