"""Commands that show what is so: status, releases, logs, events, why.

A backend's name enters, and a table for people or JSON for programs leaves.
Nothing here changes anything.
"""
