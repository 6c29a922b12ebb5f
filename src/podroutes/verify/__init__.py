"""Is every pod CIDR reachable from every node? Pure: tables of machines in, a verdict and its causes out."""
