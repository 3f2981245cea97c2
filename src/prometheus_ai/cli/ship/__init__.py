"""Commands that bring a model to users: init, schema, diff, deploy, predict.

A model file or a spec enters, and a spec, a release or an answer leaves.
Nothing here decides; the control plane does.
"""
