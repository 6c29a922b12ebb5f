"""The lab API: an emulated Node API for labs, tests and benchmarks. It is not Kubernetes and says so.

It keeps Nodes and Events in memory and implements lists, watches and writes as documented in "Kubernetes API Concepts", to
the extent that kubectl and other clients of the real API need; docs/lab-api.md lists what is missing.

``store`` (versions of objects) <- ``writing`` (what a write may do), ``reading`` (lists), ``watching`` (streams) <-
``service`` (requests and responses without sockets) <- ``server`` (HTTP). ``faults`` injects faults into responses.
"""
