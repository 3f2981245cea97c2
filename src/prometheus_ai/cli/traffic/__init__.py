"""Commands that change what users reach: route, promote, rollback, scale, delete.

A backend's name and a wish enter, and what is in force now, or what it waits for, leaves.
Nothing here waits without a bound.
"""
