"""The demonstration behind ``make demo``: the product on real input, watched by a client that counts.

Nothing but a free port and a folder enters; a table that a newcomer understands leaves.
Every step is a command that you could type yourself.
It never reaches into the platform: it uses the command line, the gateway and signals, as anyone can.
"""
