"""Who holds PostgreSQL's horizon back: the oldest open transaction that writes, in any database of the server.

A session or a transaction prepared for two-phase commit. Who they are is told of without the text of their queries;
a role without pg_read_all_stats sees of others' sessions less than that, and then that much is told.
"""

from sqlalchemy import Connection, text

_OLDEST = text(
    """WITH oldest AS (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS id,
                          pg_snapshot_xmax(pg_current_snapshot()) AS last),
            holder AS (SELECT pid FROM pg_locks, oldest
                       WHERE locktype = 'transactionid' AND granted AND mode = 'ExclusiveLock'
                         AND transactionid::text = (oldest.id::text::bigint % 4294967296)::text)
       SELECT format('a transaction is open in the source: server process %s%s, database %s, user %s%s, %s',
                     pid, coalesce(' (' || nullif(application_name, '') || ')', ''), datname, usename,
                     coalesce(', from ' || host(client_addr), ''),
                     coalesce(state || ', since ' || date_trunc('second', xact_start)::text,
                              'its state is hidden: grant the reader''s role pg_read_all_stats'))
       FROM pg_stat_activity JOIN holder USING (pid)
       UNION ALL
       SELECT format('a transaction is prepared and not ended in the source: gid %s, database %s, user %s, since %s',
                     gid, database, owner, date_trunc('second', prepared)::text)
       FROM pg_prepared_xacts, oldest
       WHERE transaction::text = (oldest.id::text::bigint % 4294967296)::text"""
)


def oldest_transactions(connection: Connection) -> list[str]:
    """Return who has the oldest transaction open, since when, in words; empty when nobody has."""
    return list(connection.execute(_OLDEST).scalars())
