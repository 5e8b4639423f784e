"""The book: its sources fit together, it builds without a warning, and its pages stand alone.

Two books are looked at. One is built here from stub notebooks with the real `_config.yml` and the
real prose; the other is the one that `make book` left in `_build/html`, where there is one.
"""

import base64
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from aesthlib.report import paper

yaml = pytest.importorskip("yaml", reason="reads the book's settings")

for package in ("jupyter_book", "nbformat"):
    pytest.importorskip(package)

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
TOC = yaml.safe_load((BOOK / "_toc.yml").read_text())
ENTRIES = [TOC["root"]] + [row["file"] for part in TOC["parts"] for row in part["chapters"]]
PROSE = [BOOK / f"{entry}.md" for entry in ENTRIES if not entry.endswith(".ipynb")]
NOTEBOOKS = [entry for entry in ENTRIES if entry.endswith(".ipynb")]
GLUE = re.compile(r"\{glue:text\}`([^`:]+)::([^`:]+)(?::[^`]*)?`")
CITE = re.compile(r"\{cite:[a-z]+\}`([^`]+)`")
MACHINE_PATH = re.compile(r"(?<![\w/.])/(?:work|tmp|home|root|Users|var|mnt)/|[A-Z]:\\")
PNG = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
        "0000000c4944415408d763f8ffff3f0005fe02fea7355c6f0000000049454e44ae426082"
    )
).decode()


# --- sources ---------------------------------------------------------------------------------


def test_every_prose_page_is_in_the_toc_and_exists():
    assert sorted(PROSE) == sorted(BOOK.glob("*.md"))
    assert len(ENTRIES) == len(set(ENTRIES))


def test_every_scale_shows_its_pages_in_order():
    from aesthlib.study import SCALES

    for scale in ("study", "smoke"):
        listed = [f"executed/{scale}/{page}.ipynb" for page in SCALES[scale].pages]
        assert [entry for entry in NOTEBOOKS if entry.startswith(f"executed/{scale}/")] == listed
    assert all(entry.startswith(("executed/study/", "executed/smoke/")) for entry in NOTEBOOKS)


def test_toc_shows_every_notebook_source():
    sources = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.py"))
    if not sources:
        pytest.skip("there are no notebook sources")
    assert sources == sorted({Path(entry).stem for entry in NOTEBOOKS})


def test_citations_and_bibliography_agree():
    known = re.findall(r"^@\w+\{([^,\s]+),", (BOOK / "references.bib").read_text(), re.M)
    texts = [*PROSE, *(ROOT / "notebooks").glob("*.py")]
    cited = {
        key.strip()
        for path in texts
        for keys in CITE.findall(path.read_text())
        for key in keys.split(",")
    }
    assert len(known) == len(set(known))
    assert cited == set(known)


def test_glued_values_come_from_notebooks_of_the_book():
    for page in PROSE:
        for notebook, _ in GLUE.findall(page.read_text()):
            assert notebook in NOTEBOOKS, f"{page.name} glues from {notebook}"


def test_deviations_state_the_settings_of_scale_study():
    from aesthlib.study import SCALES

    run, options = SCALES["study"].pretrain, SCALES["study"].options["degradation"]
    assert options["entropy_from_epoch"] == run.epochs  # "not reached"
    page = (BOOK / "deviations.md").read_text()
    for row in (
        f"| patches | 227 × 227 px | {run.size_px} × {run.size_px} px |",
        f"| shorter edge | 256 px | {run.shorter_edge_px} px |",
        f"| learning rate drops | every 10 epochs | every {run.drop_every_epochs} epochs |",
        f"| triplet loss | after 30 epochs | after {options['triplet_from_epoch']} epochs |",
        "| entropy weight | after several epochs | not reached |",
    ):
        assert row in page, f"deviations.md lacks: {row}"
    assert f"a shorter edge of {run.shorter_edge_px} px" in (BOOK / "data.md").read_text()


def test_the_papers_numbers_on_the_first_page_are_its_table_2():
    printed = paper.table2()
    printed = printed[printed.layer == "conv3"].set_index(["dataset", "method"]).accuracy_pct
    rows = re.findall(
        r"^\| (AVA|AADB|CUHK-PQ), accuracy in % \| (.+) \|$", (BOOK / "index.md").read_text(), re.M
    )
    assert len(rows) == 3
    for dataset, numbers in rows:
        wanted = [printed[dataset, name] for name in ("Without pretext", "Ours", "RotNet")]
        assert [float(number) for number in numbers.split("|")] == wanted


def test_sources_name_no_machine_path():
    static = [
        path
        for kind in ("css", "js")
        for path in BOOK.rglob(f"*.{kind}")
        if not {"built", "executed"} & set(path.parts)
    ]
    assert len(static) > 1
    for path in [*BOOK.glob("*.md"), *static, ROOT / "_config.yml"]:
        assert not MACHINE_PATH.search(path.read_text()), path


# --- building --------------------------------------------------------------------------------


def write_stubs(folder: Path) -> None:
    """Executed notebooks with little in them, one for each that the toc names, below folder."""
    from nbformat import v4, write

    glued: dict[str, set[str]] = {}
    for page in PROSE:
        for notebook, key in GLUE.findall(page.read_text()):
            glued.setdefault(notebook, set()).add(key)
    for entry in NOTEBOOKS:
        picture = v4.new_code_cell(
            "figure",
            metadata={"mystnb": {"image": {"alt": "A stub's only pixel"}}},
            outputs=[v4.new_output("display_data", {"image/png": PNG, "text/plain": "figure"})],
        )
        row = "".join(f"<td>a wide table, column {index}</td>" for index in range(12))
        table = v4.new_code_cell(
            "frame",
            outputs=[
                v4.new_output("stream", text=f"{'a long line ' * 12}\n"),
                v4.new_output("display_data", {"text/html": f"<table><tr>{row}</tr></table>"}),
            ],
        )
        prefix = "application/papermill.record/"  # as myst_nb.glue writes
        values = [
            v4.new_output(
                "display_data",
                {f"{prefix}text/plain": "12.0"},
                metadata={"scrapbook": {"mime_prefix": prefix, "name": key}},
            )
            for key in sorted(glued.get(entry, ()))
        ]
        title = Path(entry).stem[3:].title()
        cells = [
            v4.new_markdown_cell(f"# {title}\n\nSee the [method](../../method.md)."),
            picture,
            table,
            v4.new_code_cell("glue(...)", outputs=values, metadata={"tags": ["remove-cell"]}),
        ]
        notebook = v4.new_notebook(cells=cells)
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        notebook.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
        target = folder / entry
        target.parent.mkdir(parents=True, exist_ok=True)
        write(notebook, target)
    # a figure that a notebook writes beside itself
    (folder / "executed" / "study" / "headline.png").write_bytes(base64.b64decode(PNG))


def build(book: Path, target: Path) -> subprocess.CompletedProcess:
    main = "from jupyter_book.cli.main import main; main()"
    options = ["--config", str(ROOT / "_config.yml"), "--path-output", str(target)]
    return subprocess.run(
        [sys.executable, "-c", main, "build", str(book), *options, "-W", "-n", "--keep-going"],
        cwd=ROOT,
        text=True,
        capture_output=True,
    )


@pytest.fixture(scope="session")
def stub_book(tmp_path_factory) -> Path:
    """The pages of a book with the real configuration and prose, and stub notebooks."""
    folder = tmp_path_factory.mktemp("stub")
    from aesthlib.explore import export

    ignored = shutil.ignore_patterns("executed", "results", "built")
    shutil.copytree(BOOK, folder / "book", ignore=ignored)
    for path in BOOK.glob("results/**/*.png"):  # which a page shows
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    export.page(folder / "book" / "extra" / "explorer" / "built")
    write_stubs(folder / "book")
    done = build(folder / "book", folder)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder / "_build" / "html"


@pytest.fixture(params=["stubs", "built"])
def pages(request) -> list[Path]:
    """The HTML files that the toc names, of either book."""
    if request.param == "stubs":
        html = request.getfixturevalue("stub_book")
    elif not (ROOT / "_build" / ".complete").exists():
        pytest.skip("no complete book in _build/html: `make book` builds it")
    else:
        html = ROOT / "_build" / "html"
    found = [html / Path(entry).with_suffix(".html") for entry in ENTRIES]
    missing = [path.name for path in found if not path.exists()]
    assert not missing
    return found


def test_a_missing_value_fails_the_build(tmp_path):
    book = tmp_path / "book"
    write_stubs(book)
    (book / "_toc.yml").write_text(
        f"format: jb-book\nroot: method\nchapters: [{{file: {NOTEBOOKS[-1]}}}]\n"
    )
    (book / "references.bib").touch()
    (book / "method.md").write_text(f"# Page\n\n{{glue:text}}`{NOTEBOOKS[-1]}::no_such_key:.1f`\n")
    done = build(book, tmp_path)
    assert done.returncode != 0
    assert "'no_such_key' not found" in done.stdout + done.stderr


# --- pages -----------------------------------------------------------------------------------

EXTERNAL = {"script": "src", "link": "href", "img": "src", "iframe": "src"}


class Page(HTMLParser):
    """What the tests ask about: tags with attributes, and the visible text of the article."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags, self.words, self.silent = [], [], 0
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.silent += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.silent -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.silent:
            self.words.append(data)


def test_pages_load_nothing_from_the_network(pages):
    for path in pages:
        for tag, attributes in Page(path).tags:
            address = attributes.get(EXTERNAL.get(tag, ""), "") or ""
            assert not re.match(r"(?:\w+:)?//", address), f"{path.name}: <{tag}> loads {address}"
            if tag in EXTERNAL and address and not address.startswith(("data:", "#")):
                local = path.parent / re.split(r"[?#]", address)[0]
                assert local.exists(), f"{path.name}: {address} is not there"


def test_the_explorer_is_loaded_by_its_own_page_alone(pages):
    for path in pages:
        loaded = re.findall(r"<script[^>]* src=\"([^\"]*explorer/[^\"]*)\"", path.read_text())
        assert len(loaded) == (5 if path.name == "explore.html" else 0), path.name
        assert all((path.parent / one).is_file() for one in loaded)


def test_every_image_says_what_it_shows(pages):
    for path in pages:
        for tag, attributes in Page(path).tags:
            if tag == "img":
                alt = attributes.get("alt") or ""
                assert alt.strip(), f"{path.name}: no alt text for {attributes.get('src')}"
                # Sphinx falls back to the file's name
                assert not re.search(r"_images/|\.(?:png|jpe?g|svg)$", alt), f"{path.name}: {alt}"


@pytest.mark.parametrize("entry", NOTEBOOKS)
def test_every_announced_figure_was_drawn(entry):
    import nbformat

    if not (BOOK / entry).exists():
        pytest.skip(f"{entry} is not executed: `make book` does it")
    for cell in nbformat.read(BOOK / entry, 4).cells:
        if "image" in cell.metadata.get("mystnb", {}):
            kinds = [kind for output in cell.outputs for kind in output.get("data", ())]
            assert "image/png" in kinds, f"{entry} lacks: {cell.metadata.mystnb.image.alt}"


def test_pages_hold_no_error_no_gap_and_no_machine_path(pages):
    for path in pages:
        text = "".join(Page(path).words)
        assert not MACHINE_PATH.search(text), f"{path.name}: {MACHINE_PATH.search(text)}"
        for trace in ("Traceback (most recent", "{glue:", "{cite:", "{py:", "??", "\ufffd"):
            assert trace not in text, f"{path.name}: {trace}"
        tags = [attributes.get("class") or "" for _, attributes in Page(path).tags]
        assert not any("problematic" in names or "system-message" in names for names in tags), path


def test_glued_values_are_on_the_page(stub_book):
    page = Page(stub_book / "index.html")
    text = " ".join("".join(page.words).split())
    values = re.findall(r"accuracy in % (\S+) (\S+) \[(\S+), (\S+)\]", text)
    assert values == [("12", "12.0", "12.0", "12.0")] * 3  # n and the untrained network's


def test_every_public_module_is_in_the_reference():
    import aesthlib

    listed = set(re.findall(r"automodule:: (\S+)", (BOOK / "api.md").read_text()))
    root = Path(aesthlib.__file__).parent
    modules = [path.relative_to(root).with_suffix("").parts for path in root.rglob("*.py")]
    present = {".".join(["aesthlib", *parts]) for parts in modules if parts[-1] != "__init__"}
    inside = ("__main__", "cli", "store.files", "report.preloaded", "progress")
    internal = {f"aesthlib.{name}" for name in inside}
    rooms = {f"aesthlib.{name}" for name in ("pretext", "pretrained", "explore")}
    assert listed == present - internal | rooms


# --- in a browser ----------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.slow
def test_pages_work_from_a_file_on_a_dark_phone(pages, browser):
    page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="dark")
    complaints, requests = [], []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    for path in pages:
        page.goto(path.as_uri(), wait_until="load")
        # equations are set after the page has loaded, and may be wide
        page.evaluate("window.MathJax?.startup?.promise")
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, f"{path.name} is {overflow} px wider than a phone"
        filters = page.evaluate(
            "[...document.querySelectorAll('article img')].map(i => getComputedStyle(i).filter)"
        )
        assert set(filters) <= {"none"}, f"{path.name}: the dark theme alters images"
        assert not complaints, f"{path.name}: {complaints}"
    outside = [url for url in requests if not url.startswith(("file:", "data:", "blob:"))]
    assert not outside
    page.close()


@pytest.mark.browser
@pytest.mark.slow
def test_equations_are_set_without_a_network(stub_book, browser):
    page = browser.new_page()
    page.goto((stub_book / "method.html").as_uri(), wait_until="load")
    page.evaluate("window.MathJax.startup.promise")
    assert page.locator("div.math mjx-container").count() == 4  # equations 1 to 3, entropy weight
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    page.close()
