"""The snapshot that a plan of this machine is made from."""

from podroutes.cli.common import Source, own_node
from podroutes.cli.option_values import SourceOptions
from podroutes.kernel import Kernel
from podroutes.model.fib import Fib
from podroutes.model.interest import Interest
from podroutes.plan.desired import expected
from podroutes.plan.interest import hidden_parts, plan_interest
from podroutes.plan.settle import Context


def snapshot(kernel: Kernel, options: SourceOptions, source: Source) -> Fib:
    """Return a snapshot without the routes of others on which no plan for this machine depends."""
    contexts: list[Context] = []

    def wanted(bare: Fib) -> Interest:
        own = own_node(options, source.cluster, bare)
        contexts.append(source.state.context(own) if source.state else Context())
        return plan_interest(source.cluster, contexts[0].dependencies, expected=expected(source.claims, own))

    fib = kernel.snapshot(wanted)
    if not any(fib.hidden.values()):
        return fib
    earlier = [record.dst for record in contexts[0].saved().routes]
    parts = hidden_parts(source.cluster, fib)
    if not parts and not any(map(fib.hides, earlier)):
        return fib
    earlier += parts
    return kernel.snapshot(lambda _: plan_interest(source.cluster, contexts[0].dependencies, earlier))
