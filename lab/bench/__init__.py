"""Benchmarks that put ClawChat and what a person would use instead side by side, in one run on one machine.

    __main__    the command line                    transport   round-robin over peers on one stage
    peers/      what is compared, one class each    stage       namespaces, cable, keys, programs, CPU time
    ends/       the programs inside namespaces      figures     samples, medians, ratios (pure)
    handshakes  a responder in memory               report      tables and JSON (pure)
    load        floods of junk, idle crowds

Imports run from the command line down to `figures`; nothing outside this package imports it.
"""
