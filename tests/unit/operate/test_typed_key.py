"""What an officer types becomes a key: a code, the fields of a key that has several, or the key itself."""

from uuid import UUID

import pytest

from hub.model.declaration import Entity
from hub.model.entities import CITIZEN, DOSSIER
from hub.model.errors import ConfigError
from hub.model.keys import as_uuid, entity_key
from hub.operate.records.typed_key import keys_meant, may_be_key, written_key

SECRET = "a secret of the tests"  # noqa: S105 - of no system
KEY = "00112233-4455-6677-8899-aabbccddeeff"
MODEL = Entity("vehicle_model", key=("maker", "model_code"))


def hashed(entity: Entity, *parts: str) -> UUID:
    return as_uuid(entity_key(SECRET, entity.name, parts))


@pytest.mark.parametrize(
    ("entity", "text", "expected"),
    [
        (CITIZEN, " 001299000123\n", (hashed(CITIZEN, "001299000123"),)),
        (CITIZEN, KEY, (UUID(KEY),)),
        (DOSSIER, KEY.replace("-", ""), (UUID(KEY), hashed(DOSSIER, KEY.replace("-", "")))),
        (MODEL, "Hãng Thử/THU-125", (hashed(MODEL, "Hãng Thử", "THU-125"),)),
        (MODEL, KEY, (UUID(KEY),)),
    ],
)
def test_text_means_a_key(entity: Entity, text: str, expected: tuple[UUID, ...]) -> None:
    assert keys_meant(entity, text, SECRET) == expected
    assert may_be_key(entity, text)


@pytest.mark.parametrize("text", ["THU-125", "a/b/c", ""])
def test_text_with_another_number_of_fields_is_refused_and_not_repeated(text: str) -> None:
    assert not may_be_key(MODEL, text)
    with pytest.raises(ConfigError, match=r"vehicle model has several fields: write MAKER/MODEL_CODE$"):
        keys_meant(MODEL, text, SECRET)
    assert written_key(CITIZEN) == "PIN"
