"""How the annotation files are written: what we read, and other programs may not."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from setpiece.data.checks.finding import Finding, Severity, counted, finding
from setpiece.data.checks.survey import Settings, Survey
from setpiece.data.defects import Place
from setpiece.data.formats.annotations import encoding_of

__all__ = ["forms"]

SUFFIXES = {".json", ".txt", ".xml", ".yaml", ".yml", ".names", ".data"}
OURS = re.compile(r"readme|licen[sc]e|notes?\b", re.IGNORECASE)  # for people
MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Names of images and folders: COCO's, Pascal VOC's, those of a YOLO configuration, and a line of a list of images.
NAMES = {
    ".json": re.compile(r'"file_name"\s*:\s*"((?:[^"\\]|\\.)*)"'),
    ".xml": re.compile(r"<(?:filename|path)>([^<]*)</"),
    ".yaml": re.compile(r"^(?:path|train|val|valid|test)\s*:\s*['\"]?([^'\"\n#]+)", re.MULTILINE),
    ".txt": re.compile(r"^(.*\.(?:jpe?g|png|bmp|webp|tiff?))\s*$", re.MULTILINE | re.IGNORECASE),
}
NAMES[".yml"] = NAMES[".yaml"]


def forms(survey: Survey, _: Settings) -> Iterator[Finding]:
    """Byte order marks, line ends of Windows, backslashes and absolute paths."""
    marked, windows, backslashes, absolute = [], [], [], []
    for file in sorted(survey.root.rglob("*")):
        name = file.relative_to(survey.root)
        hidden = any(part.startswith(".") for part in name.parts)
        if hidden or file.suffix.lower() not in SUFFIXES or OURS.match(file.stem) or not file.is_file():
            continue
        try:
            content = file.read_bytes()
        except OSError:  # where it is an annotation file the reader says so
            continue
        place = Place(str(name))
        if content.startswith(MARKS):
            marked.append(place)
        if re.search(b"\r\0?\n", content):
            windows.append(place)
        names = [name for name in _names(file, content) if name]
        backslashes += [Place(f"{place}: {name}") for name in names if "\\" in name]
        absolute += [Place(f"{place}: {name}") for name in names if _is_absolute(name)]
    for check, places, one, many, advice in (
        (
            "files.byte-order-mark",
            marked,
            "annotation file begins with a byte order mark",
            "annotation files begin with a byte order mark",
            "nothing, or save them as UTF-8 without it: other programs may refuse them",
        ),
        (
            "files.line-ends",
            windows,
            "annotation file has the line ends of Windows",
            "annotation files have the line ends of Windows",
            "nothing",
        ),
        (
            "files.backslashes",
            backslashes,
            "name of an image or folder has backslashes",
            "names of images or folders have backslashes",
            "nothing, or write / between folders: elsewhere than on Windows other programs do not find these files",
        ),
        (
            "files.absolute",
            absolute,
            "name of an image or folder is an absolute path",
            "names of images or folders are absolute paths",
            "nothing where the images were found; relative paths survive a move to another machine",
        ),
    ):
        if places:
            yield finding(check, Severity.NOTE, None, places, counted(places, one, many), advice)


def _names(file: Path, content: bytes) -> list[str]:
    """The names of images and folders that an annotation file holds."""
    pattern = NAMES.get(file.suffix.lower())
    if pattern is None:
        return []
    found = pattern.findall(content.decode(encoding_of(content), errors="replace"))
    return [_unescaped(name) for name in found] if file.suffix == ".json" else [name.strip() for name in found]


def _unescaped(name: str) -> str:
    """A string of JSON: what looks like a backslash may be the umlaut that follows it."""
    try:
        return str(json.loads(f'"{name}"'))
    except ValueError:
        return ""


def _is_absolute(name: str) -> bool:
    return name.startswith("/") or PureWindowsPath(name).is_absolute()
