"""The outside world, one folder for each seam.

Calls through a port enter and effects on disks, processes and networks leave.
Only ``compose/`` names what is in here, and no adapter knows another.
Nothing here decides what the platform should do.
"""
