"""Envoy as the data plane: its process, its files, its admin socket, and the gateway around them.

Route tables and a rendering function enter.
A supervised Envoy, receipts and counters leave.
It never decides what a route means, and it never stands between a request and its replica.
"""
