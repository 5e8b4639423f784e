"""Checkpoints: safetensors beside a JSON header with their hash; nothing is ever unpickled."""

from pathlib import Path

from . import files


def save(folder: Path, tensors: dict, header: dict) -> str:
    """Write tensors, then the header that names them; a kill at any moment leaves a whole pair.

    Args:
        folder: of the run.
        tensors: by name.
        header: JSON values: `config` and `history`, an entry an epoch; `epoch`, and `settled` where
            it is true, name the file.

    Returns:
        SHA-256 of the tensors' file.
    """
    from safetensors.torch import save

    folder = Path(folder)
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    stage = "-settled" if header.get("settled") else ""
    target = folder / f"epoch-{header['epoch']:04d}{stage}.safetensors"
    files.write_bytes(target, content)
    sha256 = files.sha256(target)
    files.write_json(folder / "checkpoint.json", {**header, "file": target.name, "sha256": sha256})
    for old in folder.glob("epoch-*.safetensors"):
        if old != target:
            old.unlink()
    return sha256


def load(folder: Path) -> tuple[dict, dict] | None:
    """Tensors by name and the header of a run's last checkpoint, or None if there is none.

    Raises:
        ValueError: the header is broken, or the tensors are missing or not those it names.
    """
    from safetensors.torch import load_file

    folder = Path(folder)
    if not (folder / "checkpoint.json").exists():
        return None
    header = files.read_json(folder / "checkpoint.json")
    wanted = {"file": str, "sha256": str, "epoch": int, "config": dict, "history": list}
    for key, kind in wanted.items():
        if not isinstance(header, dict) or not isinstance(header.get(key), kind):
            raise ValueError(
                f"{folder / 'checkpoint.json'}: not the header of a checkpoint, "
                f"{key} is missing or of a wrong type"
            )
    path = folder / Path(header["file"]).name
    if len(header["history"]) != header["epoch"]:
        raise ValueError(
            f"{folder / 'checkpoint.json'}: history has {len(header['history'])} "
            f"epochs, not {header['epoch']}"
        )
    if not path.exists() or files.sha256(path) != header["sha256"]:
        raise ValueError(
            f"{path} is missing or not the file that checkpoint.json names (SHA-256 differs): "
            f"restore it, or delete {folder} to train again"
        )
    return load_file(path), header
