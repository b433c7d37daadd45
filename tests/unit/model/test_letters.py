"""Which differences in writing are none: composed or decomposed letters, and in names the place of a tone."""

import unicodedata

import pytest

from hub.codec.catalogue import load_catalogue
from hub.codec.encode import Encoder
from hub.codec.fields import FieldKind
from hub.model.declaration import Aspect, Entity
from hub.model.entities import ENTITIES
from hub.model.texts.letters import compose_all, composed, folded_letters, same_letters
from hub.share.send.publisher import MOST_BYTES
from hub.topology import MAX_RECORD_BYTES
from tests.support.whole_world import SECRET, whole_event

SAME_NAMES = [
    ("hòa", "hoà"),
    ("Hòa", "Hoà"),
    ("HÒA", "HOÀ"),
    ("thủy", "thuỷ"),
    ("khỏe", "khoẻ"),
    ("Nguyễn Thị Thúy", "Nguyễn Thị Thuý"),
    ("Lê Qúy Đôn", "Lê Quý Đôn"),
    ("Tòan", "Toàn"),
    ("Gìơi", "Giời"),
    ("Bình-Hòa", "Bình-Hoà"),
]
OTHER_NAMES = [
    ("Hoa", "Hòa"),
    ("Hòa", "Hóa"),
    ("Hòa", "hòa"),
    ("Lam", "Lâm"),
    ("Hoà Bình", "Hoa Bình"),
    ("Hoà Binh", "Hoa Bình"),
    ("Hòa ", "Hòa"),
    ("Tuân", "Tuấn"),
    ("Đào", "Dào"),
    ("Thơ", "Tho"),
]


@pytest.mark.parametrize(("one", "other"), SAME_NAMES)
def test_place_of_a_tone_is_no_difference_in_a_name_and_is_one_elsewhere(one: str, other: str) -> None:
    assert same_letters(one, other, is_name=True)
    assert same_letters(unicodedata.normalize("NFD", one), other, is_name=True)
    assert same_letters(one, other) is (unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other))


@pytest.mark.parametrize(("one", "other"), OTHER_NAMES)
def test_other_names_are_others(one: str, other: str) -> None:
    for form in ("NFC", "NFD"):
        assert not same_letters(unicodedata.normalize(form, one), other, is_name=True)
        assert not same_letters(unicodedata.normalize(form, one), other)


@pytest.mark.parametrize("name", ["Nguyễn Văn Hiếu", "Hoàng Thị Mỹ Lệ", "Phường Thịnh Đán", "ợ", "H'Măo Niê"])
def test_composed_and_decomposed_letters_are_equal_in_every_text(name: str) -> None:
    decomposed = unicodedata.normalize("NFD", name)
    assert same_letters(name, decomposed)
    assert same_letters([{"note": name}], [{"note": decomposed}])
    assert not same_letters([{"note": name}], [{"note": decomposed + "."}])
    assert folded_letters(folded_letters(name)) == folded_letters(name)


def test_composed_goes_into_lists_and_copies_nothing_that_is_composed() -> None:
    record = {"name": "Hoà", "age": 7, "none": None, "parts": [{"note": "Hoà"}, {"raw": b"x"}]}
    assert composed(record) is record
    decomposed = {"name": unicodedata.normalize("NFD", "Hoà"), "parts": [{"note": unicodedata.normalize("NFD", "Hoà")}]}
    assert composed(decomposed) == {"name": "Hoà", "parts": [{"note": "Hoà"}]}
    compose_all(decomposed)
    assert decomposed == {"name": "Hoà", "parts": [{"note": "Hoà"}]}


ASPECTS = [(entity, aspect) for entity in ENTITIES for aspect in entity.aspects]


@pytest.mark.parametrize(("entity", "aspect"), ASPECTS, ids=[aspect.subject for _, aspect in ASPECTS])
def test_names_are_declared_and_are_texts(entity: Entity, aspect: Aspect) -> None:
    texts = {
        field.name for field in load_catalogue().latest(aspect.subject).data_fields if field.kind is FieldKind.STRING
    }
    assert set(aspect.names) <= texts
    assert {name for name in texts if name.endswith("name")} <= set(aspect.names)


def test_record_of_one_claim_always_fits_whatever_its_letters_become() -> None:
    """One letter in four bytes becomes three of four when it is composed: no letter grows more."""
    letter = "\U0001d160"
    event = whole_event("residence.changed", {"source_system": "dancu", "pin": "001299000123", "kind": "PERMANENT"})
    room = MAX_RECORD_BYTES - len(Encoder("residence.changed", SECRET).encode(event)) - 16
    text = letter * (room // len(letter.encode()))
    largest = max(
        len(unicodedata.normalize("NFC", chr(code)).encode()) / len(chr(code).encode()) for code in _letters()
    )
    assert len(composed(text).encode()) / len(text.encode()) == largest == 3
    assert len(composed(text).encode()) + 64 * 1024 < MOST_BYTES


def _letters() -> list[int]:
    return [code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
