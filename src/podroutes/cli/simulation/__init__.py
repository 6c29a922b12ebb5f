"""The simulated demo, for hosts where no lab can be made: the same acts on kernels in memory.

The commands are podroutes' own, in this process, on the in-memory kernel that passes the contract tests of the real one. ``ip``
supports a few forms of ip(8), and packets are followed through the tables of all machines as in ``verify`` and ``trace``. The
agent's loop and threads, files, failing links and real packets are missing.
"""
