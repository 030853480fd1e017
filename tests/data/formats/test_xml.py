"""XML in the encodings that tools write and declare."""

from __future__ import annotations

import pytest

from setpiece.data.formats.xml import read_xml
from setpiece.errors import DataError


@pytest.fixture
def read(tmp_path):
    def read_bytes(content):
        path = tmp_path / "a.xml"
        path.write_bytes(content)
        return read_xml(path)

    return read_bytes


def document(declared, name):
    return f'<?xml version="1.0" encoding="{declared}"?><annotation><name>{name}</name></annotation>'


@pytest.mark.parametrize("name", ["猫", "猫狗", "交通标志", "cat"])
@pytest.mark.parametrize("declared", ["GBK", "gb2312", "GB18030", "gbk"])
@pytest.mark.parametrize("in_utf_8", [True, False])
def test_chinese_is_read_as_declared_and_as_utf_8_that_declares_otherwise(read, declared, name, in_utf_8):
    written = "utf-8" if in_utf_8 else declared
    assert read(document(declared, name).encode(written)).findtext("name") == name


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ("Shift_JIS", "自転車"),
        ("EUC-JP", "自転車"),
        ("Big5", "汽車"),
        ("EUC-KR", "자동차"),
        ("windows-1251", "машина"),
        ("windows-1252", "café"),
        ("iso-8859-1", "Mutter für bolt"),
    ],
)
@pytest.mark.parametrize("in_utf_8", [True, False])
def test_other_encodings_are_read_as_declared_and_as_utf_8_that_declares_otherwise(read, declared, name, in_utf_8):
    written = "utf-8" if in_utf_8 else declared
    assert read(document(declared, name).encode(written)).findtext("name") == name


@pytest.mark.parametrize("declared", ["klingon", "zip", "rot13", "undefined"])
def test_an_encoding_that_nobody_knows_is_no_hindrance_to_utf_8_and_named_else(read, declared):
    assert read(document(declared, "für").encode()).findtext("name") == "für"
    with pytest.raises(
        DataError, match=rf"a\.xml is not UTF-8 text, and no text in {declared}, which it declares; save"
    ):
        read(document(declared, "für").encode("latin-1"))


def test_bytes_that_are_no_text_of_the_declared_encoding_are_refused_with_its_name(read):
    with pytest.raises(
        DataError, match="is not UTF-8 text, and no text in gb2312, which it declares; save it as UTF-8"
    ):
        read(document("gb2312", "?").encode().replace(b"?<", b"\xff\xff<"))


@pytest.mark.parametrize("content", [b"", b" ", b"\xef\xbb\xbf"])
def test_a_file_without_content_is_no_xml(read, content):
    with pytest.raises(DataError, match=r"a\.xml is not valid XML"):
        read(content)


def test_entities_are_refused_in_any_encoding(read):
    text = '<?xml version="1.0" encoding="GBK"?><!DOCTYPE a [<!ENTITY x "xx">]><annotation>&x;猫</annotation>'
    with pytest.raises(DataError, match="declares XML entities"):
        read(text.encode("gbk"))


def test_tags_are_in_lower_case(read):
    assert read(b"<Annotation><BndBox><XMin>3</XMin></BndBox></Annotation>").findtext("bndbox/xmin") == "3"
