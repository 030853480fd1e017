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


def read_xml(path: Path) -> Element:
    """The root element of an XML file.

    Raises:
        DataError: it cannot be opened, is not valid XML, declares entities, or is text of an encoding that it does not
            declare.
    """
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(_decoded(path.read_bytes()), True)
        root = builder.close()
    except _EntityError as error:
        raise DataError(f"{path} declares XML entities, which are not read; remove its DOCTYPE.") from error
    except OSError as error:
        raise DataError(f"Cannot open {path}: {error.strerror}; check the path and its permissions.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text, and declares no other encoding; save it as UTF-8.") from error
    except (expat.ExpatError, ValueError, LookupError, AssertionError) as error:
        raise DataError(f"{path} is not valid XML ({error}); export it again.") from error
    return root


def _decoded(content: bytes) -> str | bytes:
    """The text where it is UTF-16 or UTF-8, whatever it declares; bytes of any encoding that it declares else.

    A copy in another encoding keeps the declaration of the first: PowerShell makes UTF-16 of UTF-8, and .NET declares
    UTF-16 in what it writes as UTF-8.
    """
    encoding = encoding_of(content)
    declared = re.match(rb"""\s*(?:\xef\xbb\xbf)?<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)""", content)
    if declared is None or declared[1].lower() in (b"utf-8", b"utf8", b"utf-16", b"utf16", b"unicode"):
        return content.decode(encoding)
    return content


def _refuse(*_: Any) -> None:
    raise _EntityError
