"""ES modules -> one script: the graph of imports, its errors, and the modules that the package has."""

import re

import pytest

from setpiece.web.modules import bundle, imports, in_order
from setpiece.web.render import page_texts

PAGES = ["comparison", "detect", "doctor", "evaluation", "label", "report", "tour", "watch"]
SOURCES = {path: text for path, text in page_texts().items() if path.endswith(".js")}


def reached(page):
    return in_order(f"{page}/{page}.js", SOURCES)


def test_modules_come_after_those_that_they_import():
    for page in PAGES:
        order = reached(page)
        assert order[-1] == f"{page}/{page}.js"
        for at, path in enumerate(order):
            assert set(imports(path, SOURCES[path])) <= set(order[:at])


def test_modules_that_import_each_other_are_an_error_that_names_them():
    sources = {
        "page.js": 'import * as A from "./base/a.js";',
        "base/a.js": 'import { b } from "./b.js";\nexport const a = 1;',
        "base/b.js": 'import { a } from "../base/a.js";\nexport const b = a;',
    }
    with pytest.raises(ValueError, match=r"circle: base/a\.js -> base/b\.js -> base/a\.js\."):
        in_order("page.js", sources)


def test_a_module_that_does_not_exist_is_named_with_the_one_that_imports_it():
    with pytest.raises(ValueError, match=r"page\.js imports base/a\.js, which does not exist"):
        in_order("page.js", {"page.js": 'import * as A from "./base/a.js";'})
    with pytest.raises(ValueError, match="The page imports gone/gone"):
        in_order("gone/gone.js", SOURCES)


def test_every_module_that_is_imported_exists():
    assert {name for path, text in SOURCES.items() for name in imports(path, text)} <= set(SOURCES)


def test_every_module_is_part_of_a_page():
    assert set().union(*map(reached, PAGES)) == set(SOURCES)


def test_a_page_holds_the_modules_of_its_folder_and_of_base_alone():
    for page in PAGES:
        assert {path.split("/")[0] for path in reached(page)} == {"base", page}
    for path, text in SOURCES.items():
        if path.startswith("base/"):
            assert all(name.startswith("base/") for name in imports(path, text))


def test_a_namespace_has_the_name_of_its_file():
    for path, text in SOURCES.items():
        for name, target in re.findall(r'^import \* as (\w+) from ".*?(\w+)\.js";$', text, re.MULTILINE):
            assert name == "".join(word.capitalize() for word in target.split("_")), path


def test_a_module_is_parsed_by_one_pattern_and_nothing_of_it_is_lost():
    source = """/** Words. */

import {
  format,
  html as make,
} from "../base/dom.js";
import * as Boxes from "../base/boxes.js";

export const ONE = 1;
export async function later() {}
export function draw() {
  return make("p", format(Boxes.l1() + ONE));
}
"""
    script = bundle(["page/page.js"], {"page/page.js": source})
    assert 'const {\n  format,\n  html: make,\n} = modules["base/dom.js"];' in script
    assert 'const Boxes = modules["base/boxes.js"];' in script
    assert script.endswith("return { ONE, later, draw };\n})();")
    assert not re.search(r"^(import|export)", script, re.MULTILINE)


@pytest.mark.parametrize(
    "line",
    [
        'import Dom from "./dom.js";',
        'import "./dom.js";',
        'import { html } from "dom";',
        "import { html } from './dom.js'",
        "export default 1;",
        "export { a };",
        'export * from "./dom.js";',
        "export let a = 1;",
        "export class A {}",
    ],
)
def test_other_forms_of_import_and_export_are_an_error(line):
    with pytest.raises(ValueError, match=r"a\.js: .* not supported"):
        bundle(["a.js"], {"a.js": f"const a = 1;\n{line}\n"})


@pytest.mark.parametrize("text", ["</script>", "</SCRIPT >", "<!-- a -->"])
def test_a_script_cannot_end_its_element(text):
    with pytest.raises(ValueError, match="would end its element"):
        bundle(["a.js"], {"a.js": f'const a = "{text}";'})
