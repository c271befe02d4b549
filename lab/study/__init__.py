"""Measurements of punching, ours beside the rivals', in the simulator and behind real netfilter.

bout         one attempt: whose way, which NATs, which cables, who is late; and what became of it
simulated    bouts on the simulated internet, in virtual time
spaces       bouts in namespaces, several lanes at once
figures      percentiles, and how a study is told
poisonable   gateways that early packets spoil, at several start skews
times        how long it takes and how many packets, against our targets
population   a mix of NATs drawn from published measurements
sweep        thousands of pairs drawn from it
"""
