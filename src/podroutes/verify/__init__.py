"""Proves that each pod CIDR is reachable from each node, or names the causes. Pure: takes the tables of machines."""
