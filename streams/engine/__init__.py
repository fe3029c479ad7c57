"""Faust made exact and fast: whole fetches in, checkpoints out, state of our own.

Stock Faust hands records over one by one and resumes from committed offsets; under kills and
rebalances it loses some (docs/adr/0003). Here a Faust app keeps its agents, group membership and
producer, and these modules replace delivery, seeking and state:

- ``transport``: a consumer whose fetch loop puts whole fetches on an agent's channel
- ``recovery``: restores state and seeks before anything flows, at each rebalance
- ``checkpoint``: apply, send outputs, send state, in that order, or end the process
- ``state_topic``: what a partition's state looks like in Kafka
- ``app``: the Faust app that ties them together
"""
