"""Columns derived from a row's own fields: content hash, keys of other entities it names, whether it is sensitive.

Tests and benchmarks that call the merge get the same columns from here.
"""

from collections.abc import Sequence

import polars as pl
import polars_hash  # noqa: F401 - registers the `chash` namespace

from hub.codec.catalogue import SchemaVersion
from hub.codec.content_hash import content_hash
from hub.codec.fields import DataClass
from hub.codec.key_rules import key_pattern
from hub.model.declaration import Aspect, Entity, SameAs
from hub.model.entities import named_by_key
from hub.model.envelope import Operation
from hub.model.keys import KEY_BYTES, SEPARATOR
from hub.warehouse.batch import LINK_SCHEMA, NO_LINKS
from hub.warehouse.tables.aspect_columns import other_key


def hashed_key(entity: str, parts: Sequence[pl.Expr], secret: str) -> pl.Expr:
    """Return the 16-byte key of an entity, column-wise; null if a part is null (``hub.model.keys``)."""
    text = pl.concat_str([pl.lit(f"{entity}:"), pl.concat_str(list(parts), separator=SEPARATOR)])
    hashed: pl.Expr = text.chash.hmac_sha256(key=secret)  # type: ignore[attr-defined]
    return hashed.str.decode("hex").bin.slice(0, KEY_BYTES)


def derived_columns(version: SchemaVersion, aspect: Aspect, secret: str) -> list[pl.Expr]:
    """Return ``content_hash``, ``revoked``, ``<field>_key`` of other entities; ``sensitive`` if the schema has any."""
    columns = [
        content_hash(version).alias("content_hash"),
        (pl.col("operation") == Operation.REVOKE.value).alias("revoked"),
        *(
            named_key(entity, pl.col(field), secret).alias(other_key(field))
            for field, entity in named_by_key(aspect).items()
        ),
    ]
    apart = [spec.name for spec in version.data_fields if spec.data_class is DataClass.SENSITIVE]
    if apart:
        columns.append(pl.any_horizontal(pl.col(name).is_not_null() for name in apart).alias("sensitive"))
    return columns


def named_key(entity: Entity, value: pl.Expr, secret: str) -> pl.Expr:
    """Return the key of the thing that a value names; the entity's key is one field.

    A value that the rule of that field refuses cannot be a key and names nobody: otherwise a placeholder would link
    strangers.
    """
    pattern = key_pattern(entity)
    if pattern is not None:
        value = pl.when(value.str.contains(pattern)).then(value)
    return hashed_key(entity.name, [value], secret)


def identity_links(passed: pl.DataFrame, entity: Entity, aspect: Aspect, secret: str) -> pl.DataFrame:
    """Return the other keys of the same thing that rows name (``LINK_SCHEMA``), one row per link.

    Most events name none.

    Args:
        passed: rows with ``row``, ``key``, ``newest`` and the aspect's fields.
        entity: the entity; its key is one field.
        aspect: says which of its fields give other keys.
        secret: secret of the keyed hash.
    """
    found = [NO_LINKS]
    for same_as in aspect.same_as:
        if passed[same_as.field].null_count() == passed.height:
            continue
        rows = passed.filter(pl.col(same_as.field).is_not_null() & pl.col("newest") & ~pl.col("revoked"))
        if not rows.is_empty():
            found.append(_links_of(rows, entity, same_as, secret))
    return pl.concat(found)


def _links_of(rows: pl.DataFrame, entity: Entity, same_as: SameAs, secret: str) -> pl.DataFrame:
    named = rows.select("row", "key", "source", pl.col(same_as.field).alias("named"))
    if same_as.member is not None:
        as_list = pl.List(pl.Struct({same_as.member: pl.String()}))
        named = (
            named.with_columns(pl.col("named").str.json_decode(as_list))
            .explode("named")
            .with_columns(pl.col("named").struct.field(same_as.member).alias("named"))
        )
    return (
        named.with_columns(other=named_key(entity, pl.col("named"), secret), kind=pl.lit(same_as.kind))
        .filter(pl.col("other").is_not_null() & (pl.col("other") != pl.col("key")))
        .select(LINK_SCHEMA.names())
        .unique(maintain_order=True)
    )
