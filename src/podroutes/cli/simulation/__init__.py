"""The demo where no lab can be made: the same story, on kernels in memory.

The commands are podroutes' own, in this process, on the kernel that the contract test holds to the real one; ``ip`` is a few
words of ip(8), and a packet is followed through the tables of all machines as ``verify`` and ``trace`` follow it. What is
not there: the agent's loop and threads, files, links that fail, and every packet.
"""
