"""The backends that build a plan with real machinery: namespaces (`netns`) and containers (`compose`).

`machine` is what they have in common towards whoever runs programs in them, `cuts` how their routers cut nodes off;
`lab.sim` needs no machinery.
"""
