"""Scanners: what looks into bytes before they run.

Files, images and package lists enter; findings with their evidence leave.
Nothing here executes, imports or unpickles what it looks at, and none of it decides what is allowed.
"""
