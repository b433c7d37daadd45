"""Types whose operators SQLAlchemy does not know: allow any operator, and let the database decide.

Without this, the library prints a warning on the operator's terminal wherever it compares a key of such a type.
"""

from sqlalchemy.dialects import mssql, mysql, postgresql
from sqlalchemy.sql.operators import OperatorClass

_KINDS = (
    *(postgresql.DOMAIN, postgresql.MONEY, postgresql.JSONPATH),
    *(mysql.BIT, mysql.YEAR, mysql.INET4, mysql.INET6),
    *(mssql.MONEY, mssql.SMALLMONEY, mssql.SQL_VARIANT),
)


def allow_operators() -> None:
    """Allow comparisons of every type of a source, without a warning."""
    for kind in _KINDS:
        if kind.operator_classes is OperatorClass.UNSPECIFIED:
            kind.operator_classes = OperatorClass.ANY
