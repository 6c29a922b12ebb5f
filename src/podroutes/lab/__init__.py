"""A cluster of network namespaces on this machine: an independent witness that routes do what podroutes says.

A lab is one process, the holder. It alone keeps the namespaces alive (they are bound to names inside its private mount
namespace), it is process 1 of the PID namespace that every command of the lab runs in, and it describes the lab to
whoever connects to its abstract socket. Nothing is written to a disk and nothing is pinned outside, so when the holder
is gone, for whatever reason, the kernel has removed everything else.

``topology`` (which machines) -> ``plumbing`` (their ip commands) -> ``holder`` (makes and keeps them) -> ``registry``
(finds holders again) -> ``inside`` (enters) -> ``ping``, ``demo``. Nothing here imports the parts of podroutes that
decide about routes or talk to the kernel: what the lab says comes from ip(8) and from real packets.
"""
