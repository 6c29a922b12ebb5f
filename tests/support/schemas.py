"""Documents held to the schemas of the package, strictly: a field that no schema has is a mistake here."""

from typing import Any

from jsonschema import Draft202012Validator

from podroutes.views.schemas import schema


def strict(value: Any) -> Any:
    """Return a schema that takes no field that it does not name."""
    if isinstance(value, list):
        return [strict(each) for each in value]
    if not isinstance(value, dict):
        return value
    closed = {key: strict(each) for key, each in value.items()}
    if isinstance(value.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


def faults(name: str, document: Any) -> list[str]:
    """Return what DOCUMENT has against the schema NAME."""
    validator = Draft202012Validator(strict(schema(name)))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
