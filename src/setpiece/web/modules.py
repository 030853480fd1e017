"""ES modules -> one script: the modules that an entry reaches, each after those that it imports.

A page must open from a file, where a browser loads no module from another file. So each module becomes a function that
returns its exports, and the import of a module reads them:

```
import { html } from "./dom.js";      const { html } = modules["base/dom.js"];
import * as Boxes from "./boxes.js";  const Boxes = modules["base/boxes.js"];
export function draw() {}             function draw() {} … return { draw };
```

These forms, and `export const`, are the ones that our modules may use; any other is an error.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

IMPORT = re.compile(
    r'^import (?:\* as (?P<all>\w+)|\{(?P<some>[\w\s,]+)\}) from "(?P<path>\.\.?/[\w./]+)";$', re.MULTILINE
)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const) (?P<name>\w+))", re.MULTILINE)
LEFT_OVER = re.compile(r"^\s*(?:import|export)\b.*$", re.MULTILINE)
BREAKS_OUT = re.compile(r"</script|<!--", re.IGNORECASE)


def imports(path: str, source: str) -> list[str]:
    """The modules that a module imports, in its order, as paths from the root.

    Args:
        path: of the module, from the root, with "/".

    Example:
        >>> imports("tour/tour.js", 'import * as Boxes from "../base/boxes.js";')
        ['base/boxes.js']
    """
    folder = posixpath.dirname(path)
    return [posixpath.normpath(posixpath.join(folder, found["path"])) for found in IMPORT.finditer(source)]


def in_order(entry: str, sources: Mapping[str, str]) -> list[str]:
    """The modules that an entry reaches, each after those that it imports; the entry is the last.

    Args:
        sources: the text of every module by its path.

    Raises:
        ValueError: a module is imported that does not exist, or modules import each other in a circle.

    Example:
        >>> in_order("a.js", {"a.js": 'import { f } from "./b.js";', "b.js": "export const f = 1;", "c.js": ""})
        ['b.js', 'a.js']
    """
    done: list[str] = []

    def visit(path: str, trail: tuple[str, ...]) -> None:
        if path in trail:
            circle = " -> ".join((*trail[trail.index(path) :], path))
            raise ValueError(f"Modules import each other in a circle: {circle}.")
        if path not in sources:
            raise ValueError(f"{trail[-1] if trail else 'The page'} imports {path}, which does not exist.")
        if path not in done:
            for imported in imports(path, sources[path]):
                visit(imported, (*trail, path))
            done.append(path)

    visit(entry, ())
    return done


def bundle(paths: Iterable[str], sources: Mapping[str, str]) -> str:
    """One script of these modules, to stand in a `<script type="module">` element.

    Args:
        paths: each after those that it imports; see `in_order`.

    Raises:
        ValueError: an import or export has a form that is not supported, or the text would end its element.

    Example:
        >>> print(bundle(["a.js"], {"a.js": "export const f = 1;"}))
        const modules = {};
        modules["a.js"] = (() => {
        const f = 1;
        return { f };
        })();
    """
    script = "\n".join(("const modules = {};", *(_as_function(path, sources[path]) for path in paths)))
    if found := BREAKS_OUT.search(script):
        raise ValueError(f"A script that holds {found[0]!r} would end its element: write it in another way.")
    return script


def _as_function(path: str, source: str) -> str:
    names = [found["name"] for found in EXPORT.finditer(source)]

    def read(found: re.Match[str]) -> str:
        (target,) = imports(path, found[0])
        wanted = found["all"] or "{" + re.sub(r"(\w+) as (\w+)", r"\1: \2", found["some"]) + "}"
        return f'const {wanted} = modules["{target}"];'

    body = IMPORT.sub(read, EXPORT.sub("", source)).strip()
    if found := LEFT_OVER.search(body):
        raise ValueError(f"{path}: {found[0].strip()!r} is a form of import or export that is not supported.")
    return f'modules["{path}"] = (() => {{\n{body}\nreturn {{ {", ".join(names)} }};\n}})();'
