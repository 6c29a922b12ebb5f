"""The agent: what ``apply`` does once is kept true, whatever happens to the cluster and to the kernel."""
