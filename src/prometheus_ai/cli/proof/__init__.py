"""Commands that make and show proof: statements to sign, changes between releases, the compliance report.

A backend's name enters; signed statements, differences and a page for auditors leave.
Nothing is claimed here that no record or digest stands for.
"""
