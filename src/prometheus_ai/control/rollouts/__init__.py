"""Rollouts in progress: measured, judged and moved on, a step at a time.

Counters of the gateway, commands of people and the passing of time enter.
Wanted weights, replica counts and recorded decisions with their evidence leave.
The deciders are asked for every judgement and every step; nothing here computes one.
"""
