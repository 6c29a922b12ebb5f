"""The discovery requests of kubectl: API groups and resources, the version, the schema."""

import platform
from collections.abc import Mapping

from podroutes.lab.api.message import Document, Refusal
from podroutes.lab.api.resources import API_VERSION, RESOURCES

# The minor version is that of the documented protocol: kubectl compares it with its own. The rest identifies the lab API.
_SPOKEN = ("1", "32")
NAME = "podroutes-lab"


def document(path: str) -> Document | None:
    """Return the discovery document at PATH, None if there is none."""
    if path.startswith("/openapi/v2"):
        raise Refusal(404, "NotFound", "the lab API has its schema at /openapi/v3 only")
    return _DOCUMENTS.get(path)


def _resources() -> list[Document]:
    documents: list[Document] = []
    for resource in RESOURCES.values():
        shared = {"namespaced": resource.namespaced, "kind": resource.kind}
        documents.append(
            {
                "name": resource.name,
                "singularName": resource.kind.lower(),
                **shared,
                "verbs": resource.verbs,
                "shortNames": list(resource.short),
            }
        )
        if resource.status:
            documents.append(
                {"name": f"{resource.name}/status", "singularName": "", **shared, "verbs": ["get", "patch", "update"]}
            )
    return documents


def _schema() -> Document:
    """Return the OpenAPI schema that makes kubectl leave validation to the server: writes accept ``fieldValidation``."""
    schemas, paths = {}, {}
    for resource in RESOURCES.values():
        kind: Mapping[str, str] = {"group": "", "version": API_VERSION, "kind": resource.kind}
        schemas[f"io.k8s.api.core.v1.{resource.kind}"] = {
            "type": "object",
            "x-kubernetes-group-version-kind": [kind],
        }
        inside = "/namespaces/{namespace}" if resource.namespaced else ""
        collection = f"/api/v1{inside}/{resource.name}"
        parameters = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
        responses = {"200": {"description": "OK"}}

        def write(
            action: str, kind: Mapping[str, str] = kind, parameters: object = parameters, responses: object = responses
        ) -> Document:
            return {
                "parameters": parameters,
                "responses": responses,
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": kind,
            }

        paths[collection] = {"post": write("post")}
        paths[f"{collection}/{{name}}"] = {"put": write("put"), "patch": write("patch")}
    return {
        "openapi": "3.0.0",
        "info": {"title": "podroutes lab API", "version": "v1"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


_DOCUMENTS: Mapping[str, Document] = {
    "/api": {"kind": "APIVersions", "versions": [API_VERSION], "serverAddressByClientCIDRs": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": API_VERSION, "resources": _resources()},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/version": {
        "major": _SPOKEN[0],
        "minor": _SPOKEN[1],
        "gitVersion": f"v{'.'.join(_SPOKEN)}.0+{NAME}",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "none: this is the lab API of podroutes, not Kubernetes",
        "compiler": platform.python_implementation(),
        "platform": f"linux/{platform.machine()}",
    },
    "/openapi/v3": {"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1"}}},
    "/openapi/v3/api/v1": _schema(),
}
