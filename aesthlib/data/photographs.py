"""Photographs: found below a folder, read as 8-bit sRGB, packed for training.

What is read of which kind of file stands in the book, on the page on photographs.
"""

from .decode import LARGEST_PIXELS, READER, SMALLEST_EDGE_PX, MachineFault, UnreadableImage, decode
from .find import SUFFIXES, Source, Survey, find, printable, say, survey
from .pack import COLUMNS, EXAMINED, TEXT, Pack, examine, load, pack

__all__ = [
    "COLUMNS",
    "EXAMINED",
    "LARGEST_PIXELS",
    "READER",
    "SMALLEST_EDGE_PX",
    "SUFFIXES",
    "TEXT",
    "MachineFault",
    "Pack",
    "Source",
    "Survey",
    "UnreadableImage",
    "decode",
    "examine",
    "find",
    "load",
    "pack",
    "printable",
    "say",
    "survey",
]
