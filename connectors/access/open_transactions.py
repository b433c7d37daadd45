"""Who holds PostgreSQL's horizon back: the oldest open transaction that writes, in any database of the server.

The holder is a session, or a transaction prepared for two-phase commit. It is described without the text of its
queries. A role without pg_read_all_stats sees less about other users' sessions; then only that much is shown.
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
    """Describe in words who has the oldest transaction open, and since when; empty if nobody has."""
    return list(connection.execute(_OLDEST).scalars())
