"""Commands about rollouts and decisions: what is planned, what goes on, what was decided and why.

Answers of the client enter; tables, a live screen and a page to pass on leave.
Nothing here decides anything, and nothing changes what runs.
"""
