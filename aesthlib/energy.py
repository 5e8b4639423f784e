"""Energy counters, where a machine shows them."""

from pathlib import Path

COUNTERS = Path("/sys/class/powercap")


def joules(device: str, counters: Path = COUNTERS) -> float | None:
    """Energy that the processors, and a GPU in use, took since some fixed time, in joules.

    The difference of two readings is what was taken between them, by all that ran. Processors are
    read through Linux's powercap counters, which may need rights; a GPU through NVIDIA's management
    library where its Python package is installed.

    Returns:
        None where a counter is missing or may not be read: a part would pass for the whole.
    """
    total, packages = 0.0, sorted(counters.glob("*:[0-9]*"))
    whole = [path for path in packages if path.name.count(":") == 1]  # not their parts
    if not whole:
        return None
    try:
        total = sum(int((path / "energy_uj").read_text()) for path in whole) / 1e6
        if device.startswith("cuda"):
            import pynvml
            import torch

            pynvml.nvmlInit()
            uuid = torch.cuda.get_device_properties(device).uuid
            handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode())
            total += pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
    except (OSError, ValueError, ImportError):
        return None
    return total
