"""Commands of the schemas: ``hub schemas check | list | show | assign | push | serve``."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer
from rich.progress import track
from rich.table import Table

from hub.cli.shared.options import json_option
from hub.cli.shared.screen import Screen, say, say_json, styled
from hub.codec.catalogue import Catalogue, FieldSpec, SchemaVersion, load_catalogue, schemas_folder
from hub.codec.registry.push import RemoteRegistry, plan_push, push
from hub.codec.schema_check.assign import Assignment, plan_assignments, write_assignments
from hub.codec.schema_check.check import check_folder
from hub.codec.schema_check.problems import Problem
from hub.model.errors import ConfigError

AsJson = Annotated[bool, json_option("Print one JSON value.")]
Execute = Annotated[bool, typer.Option("--execute", help="Do it; without this option only the plan is printed.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the application."""
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode="markdown", help="The wire contracts: check, show, publish."
    )
    group.command("check")(check)
    group.command("list")(list_schemas)
    group.command("show")(show)
    group.command("assign")(assign)
    group.command("push")(push_schemas)
    group.command("serve")(serve_schemas)
    app.add_typer(group, name="schemas")


def check(as_json: AsJson = False) -> None:
    """Check every schema: ids, names, labels, and compatibility of each version with all its ancestors.

    It lists all problems at once; exit code 1 if there are any.

    **Examples**

    `hub schemas check` — before every commit

    `hub schemas check --json` — the problems as a list of objects
    """
    problems = check_folder(schemas_folder())
    if as_json:
        say_json([problem_object(problem) for problem in problems])
    else:
        console = Screen(soft_wrap=True)
        for problem in problems:
            console.print(styled("[red]✗[/red] {}", problem))
        console.print(f"{len(problems)} problems" if problems else "all schemas are correct")
    if problems:
        raise typer.Exit(1)


def list_schemas(as_json: AsJson = False) -> None:
    """List every published schema version with its id.

    **Examples**

    `hub schemas list`

    `hub schemas list --json`
    """
    objects = version_objects(load_catalogue())
    if as_json:
        say_json(objects)
        return
    table = Table("subject", "version", "id", "fields", "meaning")
    for item in objects:
        table.add_row(*(str(item[name]) for name in ("subject", "version", "id", "fields", "vn_name")))
    Screen().print(table)


def show(
    subject: Annotated[str, typer.Argument(help="Subject, e.g. citizen.changed.")],
    version: Annotated[int | None, typer.Option(min=1, help="Version; by default the newest.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the fields of one schema: type, kind of value, longest text, class of data, Vietnamese name, meaning.

    Then the symbols of each closed list, with their Vietnamese names and the national portal's numbers.

    **Examples**

    `hub schemas show dossier.progressed`

    `hub schemas show citizen.changed --version 1 --json` — the Avro schema itself
    """
    found = find_version(load_catalogue(), subject, version)
    if as_json:
        say_json(found.schema)
        return
    title = f"{subject} v{found.number}, id {found.schema_id}"
    table = Table("field", "type", "kind", "at most", "class", "vn_name", "meaning", title=title)
    for spec in found.fields:
        required = "" if spec.nullable else " !"
        shown = (spec.name, spec.kind + required, spec.value_kind, _longest(spec))
        table.add_row(*shown, spec.data_class, spec.vn_name, spec.doc)
        for item in spec.items:
            inner = "" if item.nullable else " !"
            shown = (f"  {item.name}", item.kind + inner, item.value_kind, _longest(item))
            table.add_row(*shown, item.data_class, item.vn_name, item.doc)
    Screen().print(table)
    Screen().print("! required; at most: characters of a text")
    rows = list(symbol_rows(found.fields))
    if rows:
        listed = Table("field", "symbol", "vn_name", "portal", title="symbols")
        for row in rows:
            listed.add_row(*row)
        Screen().print(listed)
        Screen().print("portal: the number that the national portal gives the symbol")


def symbol_rows(fields: Iterable[FieldSpec], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield each symbol of some fields and of their items: field, symbol, Vietnamese name, the portal's number."""
    for spec in fields:
        names = spec.symbol_names or ("",) * len(spec.symbols)
        codes = spec.symbol_codes or (None,) * len(spec.symbols)
        for symbol, name, code in zip(spec.symbols, names, codes, strict=True):
            yield f"{prefix}{spec.name}", symbol, name, "" if code is None else str(code)
        yield from symbol_rows(spec.items, f"{prefix}{spec.name}.")


def _longest(spec: FieldSpec) -> str:
    return "" if spec.max_length is None else f"{spec.max_length:,}"


def assign(execute: Execute = False, as_json: AsJson = False) -> None:
    """Publish new schema files: give each an id and store its fingerprint in `ids.json`.

    **Examples**

    `hub schemas assign` — which files have no id yet

    `hub schemas assign --execute` — after adding `schemas/citizen.changed/v2.avsc`
    """
    planned = plan_assignments(schemas_folder())
    if execute:
        write_assignments(schemas_folder(), planned)
    if as_json:
        say_json({"executed": execute, "assigned": [assignment_object(new) for new in planned]})
        return
    for new in planned:
        say(f"{'assigned' if execute else 'would assign'} {new.schema_id} to {new.subject} v{new.number}")
    if not planned:
        say("every schema file has an id")


def push_schemas(
    registry: Annotated[str, typer.Option(help="Address of the Schema Registry, http:// or https://.")],
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Publish the schemas to an external Schema Registry, with the ids that they have here.

    **Examples**

    `hub schemas push --registry http://registry:8081` — what the registry lacks

    `hub schemas push --registry http://registry:8081 --execute`
    """
    remote = RemoteRegistry(registry)
    planned = plan_push(load_catalogue(), remote)
    if execute:
        for _ in track(push(remote, planned), "publishing", total=len(planned), console=Screen(stderr=True)):
            pass
    if as_json:
        items = [{"subject": item.subject, "id": item.version.schema_id} for item in planned]
        say_json({"executed": execute, "published": items})
        return
    for item in planned:
        word = "published" if execute else "would publish"
        say(f"{word} {item.subject} version {item.version.number}, id {item.version.schema_id}")
    if not planned:
        say("the registry has every schema")


def serve_schemas(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8081,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve the read side of the Schema Registry API until interrupted.

    **Examples**

    `hub schemas serve` — on http://127.0.0.1:8081

    `hub schemas serve --host 0.0.0.0 --port 8081` — to consumers on other machines
    """
    from hub.codec.registry.serve import serve  # loading a web server would slow down every other command

    serve(load_catalogue(), host, port, on_ready=lambda url: say(f"schemas at {url}"))


def find_version(catalogue: Catalogue, subject: str, number: int | None) -> SchemaVersion:
    """Return a subject's version; the newest if no number is given.

    Raises:
        ConfigError: there is no such subject or version.
    """
    if subject not in catalogue.subjects:
        raise ConfigError([f"no subject {subject!r}; there are {', '.join(catalogue.subjects)}"])
    versions = {version.number: version for version in catalogue.versions(subject)}
    if number is not None and number not in versions:
        raise ConfigError([f"{subject} has no version {number}; there are {', '.join(map(str, versions))}"])
    return versions[number or max(versions)]


def version_objects(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Return every version as the command prints it."""
    return [
        {
            "subject": version.subject,
            "version": version.number,
            "id": version.schema_id,
            "fields": len(version.fields),
            "vn_name": version.schema["vn_name"],
        }
        for subject in catalogue.subjects
        for version in catalogue.versions(subject)
    ]


def problem_object(problem: Problem) -> dict[str, Any]:
    """Return a problem as the command prints it."""
    return {
        "subject": problem.subject,
        "version": problem.number,
        "field": problem.field,
        "rule": problem.rule.value,
        "message": problem.message,
    }


def assignment_object(new: Assignment) -> dict[str, Any]:
    """Return an assignment as the command prints it."""
    return {"subject": new.subject, "version": new.number, "id": new.schema_id}
