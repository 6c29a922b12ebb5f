"""A cluster of network namespaces on this machine, which shows independently what routes do.

A lab is one process, the holder. Only it keeps the namespaces alive: they are bound to names inside its private mount
namespace. It is process 1 of the PID namespace in which all commands of the lab run, and describes the lab to clients of
its abstract socket. Nothing is written to disk or bound outside, so the kernel removes everything when the holder ends.

``topology`` (which machines) -> ``plumbing`` (their ip commands) -> ``holder`` (makes and keeps them) -> ``registry``
(finds holders again) -> ``inside`` (enters) -> ``ping``, ``demo``. Nothing here imports the parts of podroutes that
decide about routes or access the kernel: the lab's results come from ip(8) and from real packets.
"""
