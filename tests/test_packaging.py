"""pyproject.toml, the lock files, environment.yml and the Makefile agree with each other."""

import importlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="reads the environment file")
pytest.importorskip("packaging", reason="reads requirements")

from packaging.requirements import Requirement  # noqa: E402
from packaging.specifiers import SpecifierSet  # noqa: E402
from packaging.utils import canonicalize_name  # noqa: E402
from packaging.version import Version  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ["requirements.lock", "requirements-uv.lock"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DIRECT = [
    Requirement(line)
    for name, group in {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}.items()
    if name != "bench"  # peers to measure against, installed by whoever does
    for line in group
]


def locked(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """Every entry of a lock file: normalised package name -> (requirement, its hashes)."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    entries = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        requirement, *options = re.split(r"\s+--", line.strip())
        parsed = Requirement(requirement)
        assert parsed.name not in entries, f"{name}: {parsed.name} is locked twice"
        entries[canonicalize_name(parsed.name)] = (parsed, options)
    return entries


def version(requirement: Requirement) -> Version:
    """The version that an exact requirement names."""
    (specifier,) = requirement.specifier
    assert specifier.operator == "==" and "*" not in specifier.version, f"not exact: {requirement}"
    return Version(specifier.version)


@pytest.mark.parametrize("name", LOCKS)
def test_lock_is_exact_and_hashed(name):
    entries = locked(name)
    assert entries
    for requirement, options in entries.values():
        version(requirement)
        assert requirement.url is None
        assert options and all(re.fullmatch(r"hash=sha256:[0-9a-f]{64}", o) for o in options)


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_index_and_no_path(name):
    text = (ROOT / name).read_text()
    assert "//" not in text
    assert not re.search(r"--(extra-)?index|--find-links|--trusted-host", text)
    assert str(ROOT) not in text


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_direct_dependency_is_locked_within_its_range(requirement):
    entry, _ = locked("requirements.lock")[canonicalize_name(requirement.name)]
    assert version(entry) in requirement.specifier
    assert entry.marker is None


def test_torch_and_torchvision_match():
    entries = locked("requirements.lock")
    assert version(entries["torch"][0]) == Version("2.13.0")
    assert version(entries["torchvision"][0]) == Version("0.28.0")


def test_environment_yml_agrees():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["name"] == PROJECT["name"]
    plain = [d for d in environment["dependencies"] if isinstance(d, str)]
    (pip_lines,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    (python,) = [d for d in plain if d.startswith("python=")]
    # Versions come from the lock alone: conda brings Python and pip, nothing else.
    assert plain == [python, "pip"]
    assert pip_lines == ["-r requirements.lock"]
    assert f"{python.removeprefix('python=')}.0" in SpecifierSet(PROJECT["requires-python"])


def test_console_script_names_the_package():
    assert PROJECT["scripts"] == {"aesthlib": "aesthlib.cli:main"}


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_installed_version_is_the_locked_one(requirement):
    if Path(sys.prefix).resolve() != ROOT / ".venv":
        pytest.skip(f"runs in {sys.prefix}, not in the project's .venv")
    entry, _ = locked("requirements.lock")[canonicalize_name(requirement.name)]
    installed = Version(importlib.metadata.version(requirement.name))
    # A local part such as +cu130 names the build of the same version.
    assert Version(installed.public) == version(entry)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_alone_lists_every_target():
    out = subprocess.run(
        ["make", "-C", str(ROOT)], capture_output=True, text=True, check=True
    ).stdout
    targets = set(re.findall(r"^([a-z]+):(?!=)", (ROOT / "Makefile").read_text(), re.M))
    listed = dict(re.findall(r"^  ([a-z]+) +(\S.*)$", out, re.M))
    assert set(listed) == targets
    assert {"setup", "reproduce", "book", "test", "publish"} <= targets


def test_the_commands_run_as_a_module():
    shown = subprocess.run(
        [sys.executable, "-m", "aesthlib", "--version"], capture_output=True, text=True, cwd=ROOT
    )
    assert shown.returncode == 0 and shown.stdout.startswith("aesthlib ")


def test_tests_for_a_gpu_are_found_where_there_is_no_jupyter():
    """On a machine with torch and the library's own dependencies alone."""
    absent = (
        "jupytext",
        "papermill",
        "nbformat",
        "nbclient",
        "ipykernel",
        "ipywidgets",
        "yaml",
        "jupyter_client",
        "playwright",
        "onnx",
        "onnxruntime",
    )
    code = (
        f"import sys, pytest; sys.modules.update(dict.fromkeys({absent}))\n"
        "sys.exit(pytest.main(['--collect-only', '-q', '-m', 'gpu']))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, found.stdout[-2000:]
    assert int(re.search(r"(\d+)/\d+ tests collected", found.stdout).group(1)) > 100


def told_imports():
    """Every import of this package that a reader is told to write, with where it stands."""
    places = [ROOT / "README.md", *(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.py")]
    places += (ROOT / "book" / "extra" / "explorer").glob("*.js")
    pattern = re.compile(r"(?:from (aesthlib[\w.]*) )?import ((?:aesthlib)?[\w., ]+)")
    for path in places:
        for module, names in pattern.findall(path.read_text()):
            for name in re.split(r"[ ,]+", names.split(" as ")[0].strip(" ,.")):
                if module or name.startswith("aesthlib"):
                    yield path.name, module or name, name if module else ""


@pytest.mark.parametrize("where, module, name", sorted(set(told_imports())))
def test_what_readers_are_told_to_import_is_there(where, module, name):
    found = importlib.import_module(module)
    assert not name or hasattr(found, name) or importlib.import_module(f"{module}.{name}")
