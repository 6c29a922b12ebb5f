"""The packet filter of this network namespace, read only: nftables, and iptables in either of its forms."""

import re
from collections.abc import Callable
from functools import partial

from podroutes.host import iptables, nftables
from podroutes.host.tools import ask
from podroutes.model.packet_filter import Chain
from podroutes.model.text import printable

_FAMILY = {4: "ip", 6: "ip6"}
_SAVES = {
    version: tuple(f"{name}-{form}save" for form in ("", "nft-", "legacy-"))
    for version, name in ((4, "iptables"), (6, "ip6tables"))
}
_DEVICES = re.compile(r'devices? (?:= )?(\{[^}]*\}|"[^"]+")')
_MIXED = re.compile(r"^# Table `(\S+)' contains incompatible", re.MULTILINE)
_NFT_BACKED = "(nf_tables)"  # in the head of what iptables-nft-save prints


class Filters:
    """What was read: ``chains``, and in ``refused`` what could not be and why."""

    def __init__(self) -> None:
        self.chains: list[Chain] = []
        self.refused: list[str] = []
        self._answered = False
        translated = {chain for version in _SAVES for chain in self._iptables(version)}
        self._nftables(frozenset(translated))
        if not (self._answered or self.refused):
            self.refused.append("packet filter: neither nft nor iptables-save is installed")

    def _iptables(self, version: int) -> set[tuple[str, str]]:
        """Read both forms of iptables; return table and name of the chains that nft would list as well.

        Rules that iptables-nft(8) made are read through it, as nft(8) does not say in JSON what its matches mean. Of a table with
        chains that nft(8) made, iptables-nft-save(8) shows less than there is.
        """
        translated = set[tuple[str, str]]()
        seen = set[bool]()
        for tool in _SAVES[version]:
            text = (self._asked(tool) or b"").decode(errors="replace")
            nft_backed = _NFT_BACKED in text
            if text and nft_backed not in seen:
                seen.add(nft_backed)
                chains = self._read(partial(iptables.chains, text, tool, version), tool)
                mixed = {f"{_FAMILY[version]} {table}" for table in _MIXED.findall(text)}
                translated |= {(chain.table, chain.name) for chain in chains if nft_backed and chain.table not in mixed}
        return translated

    def _nftables(self, translated: frozenset[tuple[str, str]]) -> None:
        text = self._asked("nft", "-j", "list", "ruleset")
        for chain in self._read(partial(nftables.chains, text, translated), "nft") if text else ():
            if (
                chain.hook in ("ingress", "egress") and not chain.devices
            ):  # nft before 1.0.7 says it in its own words alone
                shown = self._asked("nft", "list", "chain", *chain.table.split(), chain.name) or b""
                self.chains[self.chains.index(chain)] = chain._replace(devices=_devices(shown.decode(errors="replace")))

    def _asked(self, *words: str) -> bytes | None:
        ran = ask(*words)
        if ran is None:
            return None
        self._answered = True
        if ran.failure:
            self.refused.append(f"packet filter: {words[0]}: {ran.failure}")
            return None
        return ran.out

    def _read(self, chains: Callable[[], tuple[Chain, ...]], tool: str) -> tuple[Chain, ...]:
        try:
            result = chains()
        except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
            self.refused.append(f"packet filter: {tool} prints what is not understood: {printable(str(error))}")
            return ()
        self.chains += result
        return result


def _devices(shown: str) -> tuple[str, ...]:
    """Return the devices of a chain as nft(8) shows it."""
    match = _DEVICES.search(shown)
    return tuple(each.strip(' "') for each in match[1].strip("{}").split(",")) if match else ()
