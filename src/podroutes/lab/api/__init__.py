"""The lab API: an emulated Node API for labs, tests and benches. It is not Kubernetes and never says that it is.

It keeps Nodes and Events in memory and speaks what the page "Kubernetes API Concepts" documents of lists, watches and
writes, well enough for kubectl and for clients that are written for the real one; docs/lab-api.md says what it leaves out.

``store`` (versions of objects) <- ``writing`` (what a write may do), ``reading`` (lists), ``watching`` (streams) <-
``service`` (a request in, a response out, no socket) <- ``server`` (HTTP). ``faults`` spoils responses on the way.
"""
