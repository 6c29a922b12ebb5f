"""Small facts from files: the cloud by its firmware, names of route protocols."""

from podroutes.host.files import HostFiles
from podroutes.model.machine_facts import Cloud
from podroutes.model.route import PROTOCOL

_DMI = "/sys/class/dmi/id"
_AZURE = "7783-7084-3265-9085-8269-3286-77"  # chassis asset tag of Azure's virtual machines
# (file, prefix of its text, cloud), as in cloud-init's ds-identify
_CLOUDS = (
    ("sys_vendor", "Amazon EC2", "AWS"),
    ("bios_version", "amazon", "AWS"),
    ("product_uuid", "ec2", "AWS"),
    ("product_name", "Google Compute Engine", "Google Cloud"),
    ("chassis_asset_tag", _AZURE, "Azure"),
    ("product_name", "OpenStack ", "OpenStack"),
    ("sys_vendor", "Hetzner", "Hetzner Cloud"),
)


def read_cloud(files: HostFiles) -> Cloud | None:
    """Return the cloud that the firmware names; no metadata server is contacted."""
    for file, start, name in _CLOUDS:
        path = f"{_DMI}/{file}"
        text = (files.peek(path) or "").strip()
        if text.startswith(start):
            return Cloud(name, f"{path}: {text}")
    files.refused.pop(f"{_DMI}/product_uuid", None)  # only root may read it; the other files usually suffice
    return None


def protocol_named(files: HostFiles) -> bool:
    """Return whether ip(8) has a name for our protocol."""
    paths = [f"{place}/iproute2/rt_protos" for place in ("/etc", "/usr/share", "/usr/lib")]
    paths += [path for place in ("/etc", "/usr/share") for path in files.glob(f"{place}/iproute2/rt_protos.d/*.conf")]
    words = (line.split() for path in paths for line in (files.peek(path) or "").splitlines())
    return any(word[:1] == [str(PROTOCOL)] for word in words)
