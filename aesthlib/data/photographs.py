"""Photographs: found below a folder, read as 8-bit sRGB, packed for training.

What is read of which kind of file stands in the book, on the page on photographs.
"""

from .content import MachineFault, UnreadableImage
from .decode import LARGEST_PIXELS, READER, SMALLEST_EDGE_PX, decode
from .find import SUFFIXES, Source, Survey, find, name_of, printable, say, survey
from .pack import COLUMNS, TEXT, Pack, load
from .packing import EXAMINED, examine, pack

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
    "name_of",
    "pack",
    "printable",
    "say",
    "survey",
]
