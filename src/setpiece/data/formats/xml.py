"""XML files -> trees, without what XML can do to its reader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from setpiece.data.formats.annotations import encoding_of
from setpiece.errors import DataError

__all__ = ["read_xml"]


class _EntityError(ValueError):
    """A file declares entities, which may unfold to gigabytes or to other files."""


class _EncodingError(ValueError):
    """A file is no text in any encoding that it may have; the message says of it what it declares."""


def read_xml(path: Path) -> Element:
    """The root element of an XML file, all names of tags in lower case.

    Raises:
        DataError: it cannot be opened, is not valid XML, declares entities, or is text of an encoding that it does not
            declare.
    """
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler = lambda tag, attributes: builder.start(tag.lower(), attributes)
    parser.EndElementHandler = lambda tag: builder.end(tag.lower())
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(_decoded(path.read_bytes()), True)
        root = builder.close()
    except _EntityError as error:
        raise DataError(f"{path} declares XML entities, which are not read; remove its DOCTYPE.") from error
    except OSError as error:
        raise DataError(f"Cannot open {path}: {error.strerror}; check the path and its permissions.") from error
    except _EncodingError as error:
        raise DataError(f"{path} is not UTF-8 text, and {error}; save it as UTF-8.") from error
    except (expat.ExpatError, ValueError, AssertionError) as error:
        raise DataError(f"{path} is not valid XML ({error}); export it again.") from error
    return root


def _decoded(content: bytes) -> str:
    """The text: UTF-16 where it is, else UTF-8, or what it declares if that makes as few letters of it.

    A copy in another encoding keeps the declaration of the first: PowerShell makes UTF-16 of UTF-8, and .NET declares
    UTF-16 in what it writes as UTF-8. A letter of UTF-8 is two or more in an encoding that reads its bytes wrongly; but
    for a few Chinese letters, whose two bytes in GBK are one letter of UTF-8, too.
    """
    declared = re.match(rb"""\s*(?:\xef\xbb\xbf)?<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)""", content)
    name = declared[1].decode("ascii") if declared else ""
    own = name if name.lower() not in ("", "utf-8", "utf8", "utf-16", "utf16", "unicode") else None
    read = [_text(content, encoding) for encoding in (own, encoding_of(content)) if encoding]
    texts = [text for text in read if text is not None]
    if not texts:
        raise _EncodingError(f"no text in {own}, which it declares" if own else "declares no other encoding")
    return min(texts, key=len)


def _text(content: bytes, encoding: str) -> str | None:
    """None where the bytes are none of this encoding, or nobody knows it."""
    try:
        return content.decode(encoding)
    except (UnicodeError, LookupError):
        return None


def _refuse(*_: Any) -> None:
    raise _EntityError
