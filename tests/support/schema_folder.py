"""Copies of the schemas folder that a test may break or extend."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hub.codec.catalogue import schemas_folder
from hub.codec.schema_check.assign import plan_assignments, write_assignments

Edit = Callable[[dict[str, Any]], None]


def copy_of_schemas(target: Path) -> Path:
    """Copy the project's schemas under ``target`` and return the new folder."""
    folder = target / "schemas"
    shutil.copytree(schemas_folder(), folder)
    return folder


def edit_schema(folder: Path, subject: str, edit: Edit, number: int = 1) -> None:
    """Change a schema file in place."""
    path = folder / subject / f"v{number}.avsc"
    schema = json.loads(path.read_text(encoding="utf-8"))
    edit(schema)
    path.write_text(json.dumps(schema, ensure_ascii=False), encoding="utf-8")


def publish_next(folder: Path, subject: str, edit: Edit) -> int:
    """Publish a further version of a subject, made from its newest by ``edit``; return its number."""
    number = len(list((folder / subject).glob("v*.avsc"))) + 1
    shutil.copy(folder / subject / f"v{number - 1}.avsc", folder / subject / f"v{number}.avsc")
    edit_schema(folder, subject, edit, number)
    write_assignments(folder, plan_assignments(folder))
    return number


def republish(folder: Path, subject: str, edit: Edit) -> None:
    """Change version 1 as if it had never been published otherwise: its fingerprint is made anew."""
    edit_schema(folder, subject, edit)
    path = folder / "ids.json"
    ids = json.loads(path.read_text(encoding="utf-8"))
    del ids[subject]
    path.write_text(json.dumps(ids), encoding="utf-8")
    write_assignments(folder, plan_assignments(folder))


def optional_field(name: str, avro: Any = "string") -> dict[str, Any]:
    """Return a well-formed optional field."""
    longest = {"max_length": 50, "kind": "words"} if avro == "string" else {}
    return longest | {
        "name": name,
        "type": ["null", avro],
        "default": None,
        "doc": "Added by a test.",
        "vn_name": "Thử nghiệm",
        "data_class": "INTERNAL",
    }


def field_of(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the field of that name, to be changed."""
    found: dict[str, Any] = next(field for field in schema["fields"] if field["name"] == name)
    return found
