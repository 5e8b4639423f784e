"""Write book/speed.md from the last results, book/results/bench/*.json.

    python benchmarks/page.py

A program that was not run, or a GPU that was not there, is named as not measured.
"""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "book" / "results" / "bench"
PAGE = ROOT / "book" / "speed.md"
PROGRAMS = {
    "operations": "Operations", "step": "The degrade step and the training step",
    "decode": "Decode and pack", "probes": "Probes", "growth": "Growth", "start": "Start",
    "explorer": "The explorer", "gpu": "CUDA",
}  # fmt: skip
HEAD = """# Speed

How fast is this beside what others use, measured in the same process, in turns? `make bench`
measures, and writes this page; `benchmarks/` holds the programs. A ratio is how many times as fast
the first row of its group is. Medians and quartiles; other work on a machine slows all rows alike,
so the ratios are what to trust.
"""


def text(value) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, dict):
        return "; ".join(f"{key} {text(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(text, value)) or "none"
    return f"{value:,.3g}" if isinstance(value, float) and abs(value) < 1000 else (
        f"{value:,.0f}" if isinstance(value, float) else str(value)
    )


def section(name: str, title: str, folder: Path) -> str:
    """Markdown of one program's results."""
    path = folder / f"{name}.json"
    if not path.exists():
        where = " on a GPU" if name == "gpu" else ""
        told = f"Not measured yet{where}: `benchmarks/{name}.py` writes this table."
        return f"\n## {title}\n\n{told}\n"
    record = json.loads(path.read_text())
    machine = record["machine"]
    versions = ", ".join(f"{key} {value}" for key, value in machine["versions"].items())
    lines = [
        f"\n## {title}\n",
        f"{machine['processor']}, {machine['threads']} threads, GPU {machine['gpu']}, "
        f"{record['rounds']} rounds, {machine['day']}; {versions}.\n",
        "| what | by | ms | quartiles | a second | ratio | |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for row in record["rows"]:
        low, middle, high = (1e3 * row[key] for key in ("low", "seconds", "high"))
        lines.append(
            f"| {row['group']} | {row['name']} | {middle:,.2f} | {low:,.2f} to {high:,.2f} | "
            f"{row['per_second']:,.1f} | {row['ratio']:.2f} | {row.get('note', '')} |"
        )
    known = ("name", "machine", "rounds", "rows")
    lines += ["", *(f"- {key.replace('_', ' ')}: {text(value)}"
                    for key, value in record.items() if key not in known)]  # fmt: skip
    return "\n".join(lines) + "\n"


def page(folder: Path = RESULTS) -> str:
    """The whole page."""
    return HEAD + "".join(section(name, title, folder) for name, title in PROGRAMS.items())


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE.relative_to(ROOT)}")
