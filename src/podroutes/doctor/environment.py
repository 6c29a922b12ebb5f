"""Findings about the node's InternalIP, its cloud, and the name of our protocol."""

from collections.abc import Iterator

from podroutes.doctor.context import MachineContext
from podroutes.model.finding import Finding
from podroutes.model.route import PROTOCOL
from podroutes.model.text import listing

# What permits pod addresses, by the cloud's name; words in capitals are placeholders.
_CLOUD_FIXES = {
    "AWS": "aws ec2 modify-instance-attribute --instance-id INSTANCE --no-source-dest-check",
    "Google Cloud": "gcloud compute instances create INSTANCE --can-ip-forward  # can be set when it is created only",
    "Azure": "az network nic update --resource-group GROUP --name NIC --ip-forwarding true",
    "OpenStack": "openstack port set --allowed-address ip-address={cidr} PORT",
    "Hetzner Cloud": "hcloud network add-route NETWORK --destination {cidr} --gateway {address}",
}


def internal_ip(context: MachineContext) -> Iterator[Finding]:
    """Find InternalIPs of this node that are not on this machine, or not there to stay."""
    if not context.own:
        return
    own, host = context.own, context.facts.host
    unusable = {address.address.address for address in host.unusable}
    missing = [address for address in own.internal_ips if not host.owns(address) and address not in unusable]
    if missing:
        cause = f"{listing([str(each) for each in missing])} of {own.name} {'is not an address' if len(missing) == 1 else 'are no addresses'} of this machine"
        evidence = [
            f"ip address: {address.address}/{address.length} dev {address.dev}"
            for address in host.addresses
            if address.dev != "lo"
        ]
        yield Finding("internal-ip-not-here", cause, tuple(evidence) or ("ip address: none",))
    passing = [address for address in own.internal_ips if address in context.facts.temporary]
    if passing:
        cause = f"{listing([str(each) for each in passing])} of {own.name} is going to be replaced by another address"
        yield Finding("internal-ip-temporary", cause, tuple(f"ip address: {each} temporary" for each in passing))


def cloud(context: MachineContext) -> Iterator[Finding]:
    """Find that the machine runs in a cloud that drops packets with unknown addresses."""
    provider = context.facts.cloud
    if provider and provider.name in _CLOUD_FIXES and context.forwards:
        cidr = next(iter(context.own_cidrs), "PODCIDR")
        address = next(iter(context.own.internal_ips), "NODE") if context.own else "NODE"
        cause = f"this machine runs in {provider.name}, which drops packets of addresses that it does not know; from inside it cannot be seen"
        yield Finding(
            "cloud-source-check",
            cause,
            (provider.evidence,),
            (_CLOUD_FIXES[provider.name].format(cidr=cidr, address=address),),
        )


def protocol_name(context: MachineContext) -> Iterator[Finding]:
    """Find that ip(8) shows the protocol of our routes as a number."""
    if context.ours and not context.facts.protocol_named:
        place = "/etc/iproute2/rt_protos.d"
        fix = (f"mkdir -p {place}", f"echo '{PROTOCOL} podroutes' > {place}/podroutes.conf")
        yield Finding(
            "protocol-unnamed",
            f"`ip route` shows protocol {PROTOCOL} as a number",
            (f"{place}/*.conf: no line for {PROTOCOL}",),
            fix,
        )
