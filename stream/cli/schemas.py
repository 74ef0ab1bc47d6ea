"""`driftstream schemas`: the records' schemas, and the AsyncAPI document made from them."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from stream import schemas
from stream.cli.options import JsonFlag, new_app
from stream.cli.output import print_json, print_table

__all__ = ["app"]

app = new_app("Show the records' schemas; write the AsyncAPI document.")


@app.command("list")
def list_schemas(json: JsonFlag = False) -> None:
    """List the schemas with what each describes."""
    found = [(name, str(schemas.source(name).get("doc", ""))) for name in schemas.names()]
    if json:
        for name, doc in found:
            print_json({"name": name, "doc": doc})
    else:
        print_table(("schema", "what it describes"), found)


@app.command()
def show(name: Annotated[str, typer.Argument(help="A schema's name; see `list`.")]) -> None:
    """Print one Avro schema as it is kept."""
    print(orjson.dumps(schemas.source(name), option=orjson.OPT_INDENT_2).decode())


@app.command()
def asyncapi() -> None:
    """Print the AsyncAPI 3.1 document of all topics and records."""
    from stream.asyncapi import document

    print(orjson.dumps(document(), option=orjson.OPT_INDENT_2).decode())
