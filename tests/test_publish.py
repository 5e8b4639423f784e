"""`make publish` puts the built book, and nothing else, on a branch of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(
    not (shutil.which("make") and shutil.which("git")), reason="make or git is not installed"
)
pytest.importorskip("ghp_import")


@pytest.fixture
def run():
    """Run a command with this test's own identity and nothing of the calling make or git."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "MAKE", "MFLAGS"))}
    identity = {
        f"GIT_{role}_{field}": value
        for role in ["AUTHOR", "COMMITTER"]
        for field, value in [("NAME", "Test"), ("EMAIL", "test@example.invalid")]
    }
    nothing = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}

    def call(*command, cwd, check=True):
        return subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            env=kept | identity | nothing,
            text=True,
            capture_output=True,
            check=check,
        )

    return call


@pytest.fixture
def checkout(tmp_path, run):
    """A repository with the project's Makefile, one commit, and a bare remote `origin`."""
    run("git", "init", "-q", "--bare", "-b", "main", tmp_path / "remote.git", cwd=tmp_path)
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    (folder / ".gitignore").write_text("/_build/\n")
    run("git", "init", "-q", "-b", "main", cwd=folder)
    run("git", "remote", "add", "origin", tmp_path / "remote.git", cwd=folder)
    run("git", "add", "Makefile", ".gitignore", cwd=folder)
    run("git", "commit", "-q", "-m", "Start", cwd=folder)
    run("git", "push", "-q", "origin", "main", cwd=folder)
    return folder


def write_book(folder: Path, files: dict[str, str]) -> None:
    """Replace the built book below folder by these files."""
    html = folder / "_build" / "html"
    shutil.rmtree(html, ignore_errors=True)
    for name, text in files.items():
        (html / name).parent.mkdir(parents=True, exist_ok=True)
        (html / name).write_text(text)


def publish(run, folder, *variables, check=True):
    """`make publish` with the Python that runs the tests."""
    binaries = f"BIN={Path(sys.executable).parent}/"
    return run("make", "publish", binaries, *variables, cwd=folder, check=check)


def published(run, remote: Path, branch="gh-pages") -> set[str]:
    """Paths on a branch of the remote."""
    return set(run("git", "ls-tree", "-r", "--name-only", branch, cwd=remote).stdout.split())


def test_book_arrives_on_its_branch_and_nothing_else_moves(run, checkout, tmp_path):
    remote = tmp_path / "remote.git"
    write_book(checkout, {"index.html": "first", "_static/page.css": "", "old.html": ""})
    head = run("git", "rev-parse", "HEAD", cwd=checkout).stdout
    publish(run, checkout)
    assert published(run, remote) == {".nojekyll", "index.html", "_static/page.css", "old.html"}
    assert run("git", "show", "gh-pages:index.html", cwd=remote).stdout == "first"

    write_book(checkout, {"index.html": "second"})
    publish(run, checkout)
    assert published(run, remote) == {".nojekyll", "index.html"}
    assert run("git", "rev-list", "--count", "gh-pages", cwd=remote).stdout.strip() == "2"

    assert run("git", "branch", "--show-current", cwd=checkout).stdout.strip() == "main"
    assert run("git", "rev-parse", "HEAD", cwd=checkout).stdout == head
    assert run("git", "rev-parse", "main", cwd=remote).stdout == head
    assert run("git", "status", "--porcelain", cwd=checkout).stdout == ""


def test_publishing_from_another_clone_keeps_the_history(run, checkout, tmp_path):
    remote, other = tmp_path / "remote.git", tmp_path / "other"
    write_book(checkout, {"index.html": "first"})
    publish(run, checkout)
    run("git", "clone", "-q", "--single-branch", "-b", "main", remote, other, cwd=tmp_path)
    write_book(other, {"index.html": "second"})
    publish(run, other)
    write_book(checkout, {"index.html": "third"})
    publish(run, checkout)
    assert run("git", "rev-list", "--count", "gh-pages", cwd=remote).stdout.strip() == "3"
    assert run("git", "show", "gh-pages:index.html", cwd=remote).stdout == "third"


def test_remote_branch_and_folder_can_be_named(run, checkout, tmp_path):
    remote = tmp_path / "elsewhere.git"
    run("git", "init", "-q", "--bare", remote, cwd=tmp_path)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("here")
    publish(run, checkout, f"REMOTE={remote}", "BRANCH=site", f"HTML={tmp_path / 'site'}")
    assert published(run, remote, "site") == {".nojekyll", "index.html"}
    assert "gh-pages" not in run("git", "branch", "--all", cwd=tmp_path / "remote.git").stdout


def test_a_missing_book_is_refused(run, checkout, tmp_path):
    done = publish(run, checkout, check=False)
    assert done.returncode != 0
    assert "no complete book in _build/html; run 'make book' first" in done.stderr
    assert "gh-pages" not in run("git", "branch", "--all", cwd=tmp_path / "remote.git").stdout


def test_a_book_whose_build_failed_is_refused(run, checkout):
    write_book(checkout, {"index.html": "half"})
    (checkout / "_build" / ".started").touch()
    done = publish(run, checkout, check=False)
    assert done.returncode != 0
    assert "no complete book" in done.stderr


def test_the_branch_at_work_is_refused(run, checkout, tmp_path):
    write_book(checkout, {"index.html": "first"})
    done = publish(run, checkout, "BRANCH=main", check=False)
    assert done.returncode != 0
    assert "BRANCH=main is checked out here" in done.stderr
    assert published(run, tmp_path / "remote.git", "main") == {"Makefile", ".gitignore"}


def test_an_unreadable_remote_is_refused(run, checkout, tmp_path):
    write_book(checkout, {"index.html": "first"})
    done = publish(run, checkout, f"REMOTE={tmp_path / 'nowhere.git'}", check=False)
    assert done.returncode != 0
    assert "cannot read the remote" in done.stderr
