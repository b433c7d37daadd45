"""Row-level security of PostgreSQL: rows that a policy hides from the connector's role look as if they did not exist.

The server does not report that it leaves rows out. So ``hub connect check`` asks whether policies apply to the role.
They do not apply to a table's owner (unless forced), nor to a role with BYPASSRLS. A view reads with its owner's
rights.
"""

from collections.abc import Iterator

from sqlalchemy import text

from connectors.access.source import SourceTable
from connectors.faults import translated

_HIDDEN = text(
    """WITH asked AS (SELECT to_regclass(:table)::oid AS oid), read AS (
         SELECT c.oid, (SELECT oid FROM pg_roles WHERE rolname = current_user) AS reader
         FROM asked JOIN pg_class c USING (oid)
         UNION
         SELECT d.refobjid, CASE WHEN v.reloptions && ARRAY['security_invoker=true', 'security_invoker=on',
                                                            'security_invoker=1', 'security_invoker=yes']
                                 THEN (SELECT oid FROM pg_roles WHERE rolname = current_user) ELSE v.relowner END
         FROM asked JOIN pg_class v USING (oid) JOIN pg_rewrite r ON r.ev_class = v.oid
         JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
          AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
         WHERE v.relkind = 'v'
       )
       SELECT DISTINCT c.oid::regclass::text, role.rolname::text
       FROM read JOIN pg_class c ON c.oid = read.oid JOIN pg_roles role ON role.oid = read.reader
       WHERE c.relrowsecurity AND NOT role.rolsuper AND NOT role.rolbypassrls
         AND (c.relforcerowsecurity OR NOT pg_has_role(role.oid, c.relowner, 'USAGE'))
       ORDER BY 1, 2"""
)


def hidden_rows(table: SourceTable) -> Iterator[str]:
    """Yield a warning for each table of a stream, child tables included, in which policies may hide rows."""
    if not table.is_postgresql:
        return
    with translated(table.what), table.engine.connect() as connection:
        quote = connection.dialect.identifier_preparer
        for name in [quote.format_table(table.table), *map(quote.format_table, table.child_tables)]:
            for hiding, role in connection.execute(_HIDDEN, {"table": name}):
                yield (
                    f"row-level security of {hiding} applies to role {role}: rows that its policies hide are never"
                    f" read, and nothing reports it later; ALTER ROLE {role} BYPASSRLS, or give the role a policy that"
                    " shows all rows: CREATE POLICY ... FOR SELECT TO ... USING (true)"
                )
