"""The supply-chain gate in use: what is looked at before something runs, and how decisions are kept.

A release or model about to run enters; a recorded decision leaves.
Nothing starts here, and no decision is made twice from the same evidence without saying so.
"""
