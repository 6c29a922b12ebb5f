"""``podroutes schema``."""

import argparse

from podroutes.cli import common
from podroutes.cli.parser import Parser

_DESCRIPTION = """\
Print the JSON Schema of a document that a command prints with -o json, or of podroutes' own inventory format; without a name,
list them. Editors check an inventory against its schema, for example by this first line of it:

  # yaml-language-server: $schema=podroutes.schema.json

exit status: 0 printed, 1 there is no such schema
"""


def configure(parser: Parser) -> None:
    """Declare the arguments."""
    from podroutes.views.schemas import SCHEMAS  # noqa: PLC0415, needed by this command only

    parser.description = _DESCRIPTION
    parser.add_argument("name", metavar="NAME", nargs="?", choices=tuple(SCHEMAS), help=", ".join(SCHEMAS))


def run(arguments: argparse.Namespace) -> int:
    """Print one schema, or the names of all."""
    from podroutes.views import documents, schemas  # noqa: PLC0415, the same

    if arguments.name:
        print(documents.text(schemas.schema(arguments.name), "json", indent=2, ascii_only=True))
        return 0
    width = max(map(len, schemas.SCHEMAS))
    common.say(f"{name:{width}}  {about}" for name, (about, _) in schemas.SCHEMAS.items())
    return 0
