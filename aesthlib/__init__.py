"""Self-supervised image aesthetics: degradations, pretext training, probes and records.

An implementation of Sheng et al., "Revisiting Image Aesthetic Assessment via
Self-Supervised Feature Learning" (AAAI 2020, doi 10.1609/aaai.v34i04.6026).
Importing the package is cheap; the rooms import torch when they are used.
"""

__version__ = "0.1.0"


def __getattr__(name: str):
    if name == "load_pretrained":
        from .pretrained import load_pretrained

        return load_pretrained
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
