"""Energy counters, where a machine shows them."""

from pathlib import Path

COUNTERS = Path("/sys/class/powercap")


def joules(device: str, counters: Path = COUNTERS) -> float | None:
    """Energy that the processors, and a GPU in use, took since some fixed time, in joules.

    The difference of two readings is what was taken between them, by all that ran; a counter begins
    anew after some hundred kilojoules, so they must lie close together. Processors, of whatever
    maker, are read through Linux's powercap counters, which may need rights; a GPU through NVIDIA's
    management library where its Python package is installed.

    Returns:
        None where a counter is missing or may not be read: a part would pass for the whole.
    """
    try:
        packages = [  # not their parts, nor the platform that holds them
            path
            for path in sorted(counters.glob("intel-rapl:[0-9]*"))
            if (path / "name").read_text().startswith("package")
        ]
        if not packages:
            return None
        total = sum(int((path / "energy_uj").read_text()) for path in packages) / 1e6
        if device.startswith("cuda"):
            import pynvml
            import torch

            pynvml.nvmlInit()
            uuid = torch.cuda.get_device_properties(device).uuid
            handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode())
            total += pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
    except Exception:  # of the management library's many kinds: no counter ends a training
        return None
    return total
