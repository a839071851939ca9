"""Sphinx's settings: `make docs` builds these pages, and the reference from the docstrings, with warnings as errors."""
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from gpuflow._version import __version__  # noqa: E402

project, author, copyright, release = "gpuflow", "the gpuflow authors", "the gpuflow authors", __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme, html_title = "furo", f"gpuflow {__version__}"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
add_module_names = False
autodoc_default_options = {"members": True, "member-order": "alphabetical"}
autodoc_typehints = "none"
default_role = "code"


def setup(app):
    app.connect("autodoc-process-docstring", as_rest)
    app.connect("source-read", without_links_out)


def as_rest(app, what, name, thing, options, lines):
    """Our docstrings are plain text. A paragraph stays one; a line `argument: what it is`, with the indented lines
    after it, becomes a point of a list; a paragraph that is indented as a whole is shown as it stands."""
    out: list[str] = []
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        rows = [row for row in paragraph.split("\n") if row.strip()]
        if not rows:
            continue
        if all(row.startswith("    ") for row in rows) or any(re.search(r"\S {3,}\S|[┌│+]--", row) for row in rows):
            out += ["::", "", *("    " + row for row in rows), ""]
            continue
        points: list[str] = []
        for row in rows:
            begins = not row.startswith(" ") and re.match(r"[\w*.]+(, [\w*.]+)*(=\S+)?: ", row)
            if begins:
                names = begins.group().rstrip(": ")
                points.append(f"- **{_plain(names)}**: {_plain(row[begins.end():])}")
            elif points:
                points[-1] += " " + _plain(row.strip())
            else:
                points.append(_plain(row.strip()))
        for point in points:
            out += [point, ""]
    lines[:] = out


def _plain(text: str) -> str:
    """Text of a docstring in which reST sees nothing but our `code`."""
    parts = re.split(r"``?([^`]+)``?", text)
    return "".join(f"``{part}``" if k % 2 else re.sub(r"([*_|\\])", r"\\\1", part) for k, part in enumerate(parts))


def without_links_out(app, page, source):
    """Links to files outside docs/ lead somewhere in a checkout only; here their text stays, with the path."""
    folder = (HERE / page).parent

    def shown(link):
        target = (folder / link[2].partition("#")[0]).resolve()
        inside = ":" in link[2] or link[2].startswith("#") or (target.is_relative_to(HERE) and target.is_file())
        return link[0] if inside else link[1] if link[1].strip("`") in link[2] else f"{link[1]} (`{_path(target)}`)"

    source[0] = re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", shown, source[0])


def _path(target: Path) -> str:
    return target.relative_to(HERE.parent).as_posix() if target.is_relative_to(HERE.parent) else target.name
