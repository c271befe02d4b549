"""The honesty gate: before a laboratory is believed, each of its gateways must prove to be what it claims.

    claims      what a stack of NATs promises, one sentence a probe (pure)
    ground      what a probe needs of a backend: sockets anywhere, and time
    probes      our own probes: one question each, answered by packets
    endurance   the probes that wait: lifetimes
    tools       the same questions, asked by programs that we did not write
    suspects    which gateways are to be tried, and the network for it
    trial       asks every probe about every gateway, three times when in doubt
    grounds/    the backends as grounds: real machines and the simulator
    verdict     findings, and how they are told

A gateway that is not what it claims makes every result obtained through it worthless, so the run ends there.
"""
