"""What would be applied: the plain manifests as they are, the chart as Helm renders it."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.helm import HELM, missing

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/podroutes"
PLAIN = ROOT / "deploy/kubernetes/agent.yaml"
REMOVAL = ROOT / "deploy/kubernetes/uninstall/remove.yaml"
NAMESPACE = "podroutes"

Document = dict[str, Any]


def helm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Return what Helm says to WORDS, away from any cluster and from anybody's settings."""
    if why := missing():
        pytest.skip(why)
    alone = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": "/dev/null"}
    return subprocess.run([HELM, *words], env=alone, capture_output=True, text=True, check=False)


def chart(*settings: str) -> list[Document]:
    """Return what the chart becomes with SETTINGS (``agent.events=true``)."""
    options = [word for each in settings for word in ("--set", each)]
    done = helm("template", "podroutes", CHART, "--namespace", NAMESPACE, *options)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def plain(path: Path = PLAIN) -> list[Document]:
    """Return the documents of PATH."""
    return list(yaml.safe_load_all(path.read_text()))


def one(documents: list[Document], kind: str) -> Document:
    """Return the only one of DOCUMENTS that is a KIND."""
    (found,) = (each for each in documents if each["kind"] == kind)
    return found


def pod(documents: list[Document]) -> Document:
    """Return the spec of the pods of the only DaemonSet of DOCUMENTS."""
    spec: Document = one(documents, "DaemonSet")["spec"]["template"]["spec"]
    return spec


def agent(documents: list[Document]) -> Document:
    """Return the only container of these pods."""
    (container,) = pod(documents)["containers"]
    assert isinstance(container, dict)
    return container


def variables(container: Document) -> dict[str, str]:
    """Return the environment that CONTAINER is given in so many words."""
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}
