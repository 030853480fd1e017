"""XML files -> trees, without what XML can do to its reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from setpiece.errors import DataError

__all__ = ["read_xml"]


class _EntityError(ValueError):
    """A file declares entities, which may unfold to gigabytes or to other files."""


def read_xml(path: Path) -> Element:
    """The root element of an XML file.

    Raises:
        DataError: it cannot be opened, is not valid XML, or declares entities.
    """
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(path.read_bytes(), True)
        root = builder.close()
    except _EntityError as error:
        raise DataError(f"{path} declares XML entities, which are not read; remove its DOCTYPE.") from error
    except OSError as error:
        raise DataError(f"Cannot open {path}: {error.strerror}; check the path and its permissions.") from error
    except (expat.ExpatError, ValueError, LookupError, AssertionError) as error:
        raise DataError(f"{path} is not valid XML ({error}); export it again.") from error
    return root


def _refuse(*_: Any) -> None:
    raise _EntityError
