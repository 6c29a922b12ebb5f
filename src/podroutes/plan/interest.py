"""Which routes of others a plan depends on."""

from collections.abc import Iterable
from itertools import chain

from podroutes.model.address import Prefix
from podroutes.model.cluster import Cluster
from podroutes.model.dependencies import Dependencies
from podroutes.model.interest import Interest, interest


def plan_interest(cluster: Cluster, dependencies: Dependencies, earlier: Iterable[Prefix] = ()) -> Interest:
    """Return the interest of a plan for a machine of CLUSTER with DEPENDENCIES that had routes to the destinations EARLIER.

    These are the routes to what may be wanted, and the paths to what must not be routed away.
    """
    claimed = chain.from_iterable(node.pod_cidrs for node in cluster.nodes)
    reported = chain.from_iterable(node.internal_ips for node in cluster.nodes)
    return interest(chain(claimed, earlier), chain(reported, (each.address for each in dependencies)))
