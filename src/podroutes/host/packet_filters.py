"""The packet filter of this network namespace, read only: nftables, and iptables in either of its forms."""

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
_NFT_BACKED = "(nf_tables)"  # in the head of what iptables-nft-save prints


class Filters:
    """What was read: ``chains``, and in ``refused`` what could not be and why."""

    def __init__(self) -> None:
        self.chains: list[Chain] = []
        self.refused: list[str] = []
        self._answered = False
        translated = {table for version in _SAVES for table in self._iptables(version)}
        self._nftables(frozenset(translated))
        if not (self._answered or self.refused):
            self.refused.append("packet filter: neither nft nor iptables-save is installed")

    def _iptables(self, version: int) -> set[str]:
        """Read both forms of iptables; return the tables that nft would list as well.

        Rules that iptables-nft(8) made are read through it, as nft(8) does not say in JSON what its matches mean.
        """
        translated = set[str]()
        seen = set[bool]()
        for tool in _SAVES[version]:
            text = (self._asked(tool) or b"").decode(errors="replace")
            nft_backed = _NFT_BACKED in text
            if text and nft_backed not in seen:
                seen.add(nft_backed)
                self._read(tool, partial(iptables.chains, text, tool, version))
                tables = {line[1:].strip() for line in text.splitlines() if line.startswith("*")}
                translated |= {f"{_FAMILY[version]} {table}" for table in tables if nft_backed}
        return translated

    def _nftables(self, translated: frozenset[str]) -> None:
        text = self._asked("nft", "-j", "list", "ruleset")
        if text:
            self._read("nft", partial(nftables.chains, text, translated))

    def _asked(self, *words: str) -> bytes | None:
        ran = ask(*words)
        if ran is None:
            return None
        self._answered = True
        if ran.failure:
            self.refused.append(f"packet filter: {words[0]}: {ran.failure}")
            return None
        return ran.out

    def _read(self, tool: str, chains: Callable[[], tuple[Chain, ...]]) -> None:
        try:
            self.chains += chains()
        except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
            self.refused.append(f"packet filter: {tool} prints what is not understood: {printable(str(error))}")
