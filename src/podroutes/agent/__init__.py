"""The agent: reconciles the routes of one machine whenever the cluster or the kernel changes."""
