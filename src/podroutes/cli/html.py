"""Writes the page of ``verify --html``."""

import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from podroutes import __version__
from podroutes.cli.collection import Evidence
from podroutes.errors import PodroutesError
from podroutes.host.atomic_write import write_whole
from podroutes.model.probe import Disagreement, Probed
from podroutes.model.proof import Proof, Target
from podroutes.model.text import printable
from podroutes.views.html import Probe, Report, page


def destination(text: str) -> Path:
    """Return the absolute path of the file to write. Called first, so that a typing error is reported at once."""
    if text == "-":
        raise PodroutesError("--html -: standard output has the verdict; name a file for the page")
    try:
        path = Path(text).resolve()
        mode = path.stat().st_mode if path.exists() else None
        if not path.parent.is_dir():
            raise PodroutesError(
                f"--html {printable(text)}: there is no directory {printable(str(path.parent))}; make it first"
            )
    except (OSError, ValueError, RuntimeError) as error:  # no access, a null byte, a loop of symbolic links
        raise PodroutesError(f"--html {printable(text)}: {getattr(error, 'strerror', None) or error}") from None
    if mode is not None and not stat.S_ISREG(mode):  # the page would replace it
        raise PodroutesError(f"--html {printable(text)}: exists and is not a regular file; name another one")
    return path


def save(
    path: Path,
    evidence: Evidence,
    proof: Proof,
    probed: tuple[Sequence[Probed], Sequence[Disagreement]] | None,
) -> None:
    """Write the page to PATH atomically."""
    source = evidence.source
    targets = tuple(Target(claim.dst, claim.node.name) for claim in source.claims.honoured)
    probe = Probe(tuple(probed[0]), tuple(probed[1])) if probed else None
    time = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    report = Report(
        proof,
        source.cluster,
        targets,
        evidence.network.hosts,
        source.claims.problems,
        evidence.tables,
        time,
        __version__,
        probe,
    )
    try:
        write_whole(path, page(report))
    except OSError as error:
        raise PodroutesError(f"--html: cannot write {printable(str(path))}: {error.strerror}") from None
