"""Types of which SQLAlchemy does not say which operators they have: any, as their database decides.

Without it the library warns wherever a key of such a type is compared, on the operator's terminal.
"""

from sqlalchemy.dialects import mssql, mysql, postgresql
from sqlalchemy.sql.operators import OperatorClass

_KINDS = (
    *(postgresql.DOMAIN, postgresql.MONEY, postgresql.JSONPATH),
    *(mysql.BIT, mysql.YEAR, mysql.INET4, mysql.INET6),
    *(mssql.MONEY, mssql.SMALLMONEY, mssql.SQL_VARIANT),
)


def allow_operators() -> None:
    """Let every type of a source be compared without a warning."""
    for kind in _KINDS:
        if kind.operator_classes is OperatorClass.UNSPECIFIED:
            kind.operator_classes = OperatorClass.ANY
