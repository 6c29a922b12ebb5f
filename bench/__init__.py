"""Measures podroutes beside its peers, in namespaces of its own: ``./dev bench`` or ``python -m bench``.

engine: the library against ip(8), pyroute2, BIRD and FRR; forms: what each form of a route costs the kernel; apply: whole
processes; startup: start-up time and memory; flips: packets lost while next hops move; inventory: reading inventories; agent: one agent of 5,000 nodes; crowd: an agent
beside 500,000 routes of others; restart: 30 agents whose API server restarts.
"""
