"""Commands about what may run: gate, advisories, model files, keys.

A file, a name or a question enters; findings and the gate's reasons leave.
No command here changes what a policy allows.
"""
