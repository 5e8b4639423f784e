"""The command line: aesthlib pretrain | probe | study | data | export.

Options carry the names of the notebooks' parameters and of the config classes' fields. Rooms that
need torch are imported by the command that uses them.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from . import __version__


def main(argv: list[str] | None = None) -> int:
    """Run a command. Returns 0, or 1 after one line that says what went wrong and what to do."""
    arguments = sys.argv[1:] if argv is None else argv
    parser = _parser(arguments)
    given = parser.parse_args(arguments)
    try:
        given.run(given)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the last finished epoch", file=sys.stderr)
        return 130
    except (ValueError, OSError, LookupError, ArithmeticError, RuntimeError) as error:
        print(f"aesthlib {arguments[0]}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    command = arguments[0] if arguments else ""
    parser = argparse.ArgumentParser(
        prog="aesthlib",
        description="Self-supervised image aesthetics: pretrain on photographs without labels, "
        "judge the frozen features by linear probes, run the study's notebooks.",
        epilog="`aesthlib COMMAND --help` lists a command's options and their defaults.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"aesthlib {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, line, build in (
        ("pretrain", "train a backbone on a folder of photographs", _pretrain_options),
        ("probe", "judge a trained backbone on a benchmark with ratings", _probe_options),
        ("study", "run the notebooks of a scale and put them into the book", _study_options),
        ("data", "pack photographs and show what is in a pack", _data_options),
        ("export", "write what the book's explore page loads", _export_options),
    ):
        child = commands.add_parser(
            name,
            help=line,
            description=line[0].upper() + line[1:] + ".",
            allow_abbrev=False,
            formatter_class=_Help,
        )
        if command == name:
            build(child, arguments)
    return parser


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults behind the words, but where there is none."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def _store_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", default="runs", help="folder of records, checkpoints, features")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")


def _field_options(parser: argparse.ArgumentParser, config, skip: tuple[str, ...] = ()) -> None:
    """An option for every field of a dataclass, its help taken from the class's docstring."""
    for item in dataclasses.fields(config):
        if item.name in skip:
            continue
        default = item.default
        kind = type(default)
        flag = f"--{item.name.replace('_', '-')}"
        text = _documented(config, item.name)
        if kind is tuple:
            parser.add_argument(flag, nargs="+", type=type(default[0]), default=default, help=text)
        elif kind is bool:
            parser.add_argument(
                flag, action=argparse.BooleanOptionalAction, default=default, help=text
            )
        else:
            parser.add_argument(flag, type=kind, default=default, help=text)


def _documented(config, name: str) -> str:
    """The words on a field in the class's "Attributes:"."""
    block = (config.__doc__ or "").partition("Attributes:")[2]
    entries, current = {}, ()
    for line in block.splitlines():
        text = line.strip()
        names, colon, words = text.partition(": ")
        if colon and all(part.isidentifier() for part in names.split(", ")):
            current = names.split(", ")
            entries |= dict.fromkeys(current, words)
        elif text and current:
            entries |= {key: f"{entries[key]} {text}" for key in current}
    return entries.get(name, " ").replace("%", "%%") or " "


def _taken(config, given: argparse.Namespace, **more):
    """A dataclass made of the options of its own names."""
    values = {
        item.name: getattr(given, item.name)
        for item in dataclasses.fields(config)
        if hasattr(given, item.name)
    }
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return config(**values | more)


def _show(record: dict, store: str) -> None:
    path = Path(store) / "records" / f"{record['run_id']}.json"
    for row in record["metrics"]:
        interval = f" [{row['low']:.3f}, {row['high']:.3f}]" if "low" in row else ""
        place = f"{row['dataset']} {row['layer']}".strip()
        print(f"{place:18} {row['metric']:18} {row['value']:.3f}{interval}  n={row['n']}")
    print(f"run {record['run_id']}, record {path}")


def _pretrain_options(parser: argparse.ArgumentParser, arguments: list[str]) -> None:
    from . import pretext
    from .training import PretrainConfig

    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--method", default=PretrainConfig.method)
    method = early.parse_known_args(arguments)[0].method
    if method not in pretext.TASKS:
        method = PretrainConfig.method  # the config says what is wrong
    parser.epilog = (
        f"Methods: {', '.join(pretext.TASKS)}. `aesthlib pretrain --method NAME --help` lists the "
        "options of that task."
    )

    parser.add_argument(
        "photographs", type=Path, help="folder of photographs, searched recursively"
    )
    parser.add_argument("--name", help="of the photographs in records; default the folder's name")
    _field_options(parser, PretrainConfig, skip=("options",))
    task = parser.add_argument_group(f"task {method}")
    _field_options(task, pretext.task(method).Options)
    _store_options(parser)
    parser.set_defaults(run=_pretrain)


def _pretrain(given: argparse.Namespace) -> None:
    from . import pretext, runs, training
    from .data import photographs

    task = pretext.task(given.method)
    config = _taken(training.PretrainConfig, given, options=_taken(task.Options, given))
    surveyed = photographs.survey(given.photographs, task.supervised)
    name = given.name or photographs.name_of(given.photographs)
    of = runs.Photographs(name, lambda: list(surveyed.sources))
    _show(_runs(given, "own").pretrain(config, of), given.store)
    if told := surveyed.say():
        print(told)


def _runs(given: argparse.Namespace, scale: str):
    from . import runs, training
    from .store import records

    store = records.Store(Path(given.store))
    return runs.Runs(store, scale, training.choose_device(getattr(given, "device", "cpu")))


def _probe_options(parser: argparse.ArgumentParser, arguments: list[str]) -> None:
    from .data import benchmarks
    from .probing import ProbeConfig

    parser.add_argument("pretrained", help="run to judge: its id, printed by pretrain")
    parser.add_argument("benchmark", help=f"unseen, {', '.join(benchmarks.READERS)}")
    parser.add_argument("folder", type=Path, nargs="?", help="of the benchmark; unseen needs none")
    parser.add_argument(
        "--unseen-pairs", type=int, default=24, help="patches a photograph (unseen)"
    )
    _field_options(parser, ProbeConfig)
    _store_options(parser)
    parser.set_defaults(run=_probe)


def _probe(given: argparse.Namespace) -> None:
    from . import probing, runs
    from .store import records

    store = records.Store(Path(given.store))
    path = store.path("records", f"{given.pretrained}.json")
    if not path.exists():
        known = ", ".join(r["run_id"] for r in store.all() if r["experiment"] == "pretrain")
        raise ValueError(f"no run {given.pretrained} in {given.store}; known: {known or 'none'}")
    if given.folder is None and given.benchmark != "unseen":
        raise ValueError(f"name the folder of {given.benchmark} behind it")
    run = records.read(path)
    if given.benchmark == "unseen":
        asked = runs.unseen(runs.embedded_photographs(), 0, given.unseen_pairs)
    else:
        asked = runs.rated(given.benchmark, given.folder)
    config = _taken(probing.ProbeConfig, given)
    _show(_runs(given, run["scale"]).probe(run, asked, config), given.store)


def _study_options(parser: argparse.ArgumentParser, arguments: list[str]) -> None:
    parser.add_argument(
        "notebooks", nargs="*", help="names, such as probes or 03_probes; none for all"
    )
    parser.add_argument("--scale", default="smoke", help="smoke, study or paper")
    parser.add_argument(
        "--load-only",
        action="store_true",
        help="make the pages from records, never compute; the store is then book/results",
    )
    parser.add_argument("--data-root", default="", help="folder of the photographs and benchmarks")
    parser.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a notebook's parameter; names and types are checked before anything runs",
    )
    parser.add_argument(
        "--publish", action="store_true", help="then copy the scale's records to book/results"
    )
    parser.add_argument(
        "--plan",
        action="store_true",
        help="compute nothing: print each page's command, runs, and estimated time and memory",
    )
    parser.add_argument("--store", help="folder of records, checkpoints, features; default runs")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.set_defaults(run=_study)


def _study(given: argparse.Namespace) -> None:
    from .report import notebooks

    store = given.store or ("book/results" if given.load_only else "runs")
    if given.plan:
        _plan(given, store)
        return
    parameters = {
        "scale": given.scale,
        "store": store,
        "data_root": given.data_root,
        "load_only": given.load_only,
        "device": given.device,
        **dict(given.parameter),
    }
    target = Path(notebooks.EXECUTED) / parameters["scale"]
    from .study import SCALES, Study

    names = tuple(given.notebooks)
    if not given.load_only and not names and not given.parameter:  # the pages then only load
        found = Study(given.scale, store, given.data_root, device=given.device).everything()
        print(f"{len(found)} records of scale {given.scale} in {store}")
        parameters["load_only"] = True
    if not names and given.scale in SCALES:
        names = SCALES[given.scale].pages
    pages = notebooks.run(names, parameters, target)
    for page in pages if given.notebooks else ():
        print(page)
    print(f"{len(pages)} pages in {target}")
    if given.publish:
        count = Study(parameters["scale"], parameters["store"]).publish()
        print(f"{count} records of scale {parameters['scale']} published in book/results")


def _plan(given: argparse.Namespace, store: str) -> None:
    from . import plan
    from .study import Study

    study = Study(given.scale, store, given.data_root, device=given.device)
    found = plan.estimate(study.plan(), study.runs.device, say=print)
    command = f"aesthlib study --scale {given.scale}"
    if given.data_root or study.scale.photographs != "embedded":
        command += f" --data-root {given.data_root or 'FOLDER'}"
    print(plan.table(found, command))


def _data_options(parser: argparse.ArgumentParser, arguments: list[str]) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    pack = actions.add_parser(
        "pack", help="decode a folder once, to uint8 at one shorter edge", formatter_class=_Help
    )
    pack.add_argument("folder", type=Path, help="of photographs, searched recursively")
    pack.add_argument("--name", help="of the photographs in records; default the folder's name")
    pack.add_argument("--shorter-edge-px", type=int, default=256, help="of the packed photographs")
    pack.add_argument("--store", default="runs", help="the pack lies in its packs/")
    pack.set_defaults(run=_pack)
    check = actions.add_parser(
        "check",
        help="count and decode a data set, list what is missing or broken",
        description="Count a data set's photographs and labels against the published figures, "
        "decode every photograph, list what is missing, broken or without a label, write a "
        "manifest. Ends with 1 where the counts differ or a photograph is broken.",
        formatter_class=_Help,
    )
    check.add_argument(
        "name",
        help="ava, aadb, cuhk_pq, oasis or vessel; photographs for any "
        "folder of them; labels for folders that are classes",
    )
    check.add_argument("folder", type=Path, help="of the data set; nothing is written there")
    check.add_argument(
        "--manifest",
        type=Path,
        help="CSV of every file with its hash, split, "
        "label and problem; default manifests/NAME.csv in the store",
    )
    check.add_argument("--store", default="runs", help="the manifest lies in its manifests/")
    check.set_defaults(run=_check)
    show = actions.add_parser("show", help="say what a pack holds and what was left out")
    show.add_argument("pack", type=Path, help="folder of a pack")
    show.set_defaults(run=_show_pack)


def _pack(given: argparse.Namespace) -> None:
    from . import runs
    from .data import photographs

    surveyed = photographs.survey(given.folder)
    name = given.name or photographs.name_of(given.folder)
    of = runs.Photographs(name, lambda: list(surveyed.sources))
    _, target = _runs(given, "own").packed(of, given.shorter_edge_px)
    given.pack = target()
    _show_pack(given)
    if told := surveyed.say():
        print(told)


def _check(given: argparse.Namespace) -> None:
    from .data import verify
    from .data.photographs import printable

    manifest = given.manifest or Path(given.store) / "manifests" / f"{given.name}.csv"
    if manifest.resolve().is_relative_to(given.folder.resolve()):
        raise ValueError(
            f"{manifest} lies in {given.folder}, where nothing is written: "
            "name another place with --manifest"
        )
    verdict = verify.check(given.name, given.folder)
    verify.write_manifest(verdict, manifest)
    print(f"{given.name} in {printable(str(given.folder))}")
    for what, found, published in verdict.counts:
        told = "" if published is None else f"  published {published:,}"
        print(f"  {what:24} {found:>9,}{told}")
    for what in ("missing", "broken", "extra"):
        listed = getattr(verdict, what)
        print(f"  {what:24} {len(listed):>9,}")
        for line in listed[:20]:
            print(f"    {printable(line)}")
        if len(listed) > 20:
            print(f"    and {len(listed) - 20:,} more, all in the manifest")
    print(f"manifest {printable(str(manifest))}")
    if told := verdict.passed_over:
        print(told)
    if verdict.faults:
        raise ValueError(f"{given.name} is not as published or broken: {'; '.join(verdict.faults)}")


def _show_pack(given: argparse.Namespace) -> None:
    from .data import photographs

    pack = photographs.load(given.pack)
    print(
        f"{photographs.printable(str(given.pack))}: {len(pack)} photographs, "
        f"{len(pack.problems)} left out, data {pack.sha256[:16]}"
    )
    for name, problem in pack.problems:
        print(f"  left out: {photographs.printable(name)}: {problem}")


def _export_options(parser: argparse.ArgumentParser, arguments: list[str]) -> None:
    parser.add_argument("target", type=Path, help="folder; files that would not change stay")
    parser.set_defaults(run=_export)


def _export(given: argparse.Namespace) -> None:
    from .explore import export

    try:
        released = export.released()
    except OSError as error:  # the book does without its network rather than not at all
        print(f"no released model: {error}")
        released = {}
    sizes = export.page(given.target, **released)
    for name, size in sizes.items():
        print(f"{given.target / name}: {size / 1e6:.1f} MB compressed")
    if "model.js" not in sizes:
        print(
            "the explore page runs without the network: it needs the released model, the Python "
            "package onnx, and onnxruntime-web from npm"
        )
