"""Where the sound is in a file, and how much of it the header announces.

libsndfile trusts a header that says 0 bytes, as recorders leave when they lose power, and reads
truncated sound without a warning. This module finds how much sound there is, and the correct
header.
"""

import os
import struct
from dataclasses import dataclass, replace
from typing import BinaryIO

ENDLESS = 0x7FFFF000  # what sox, arecord and ffmpeg write where they know no size, or more
_ENDLESS_64 = 1 << 62
_LARGEST = 0xFFFFFFFF
_MAX_CHUNKS = 1000  # in front of the sound
_MAX_HEADER = 1 << 24  # bytes in front of the sound
_MAX_TAIL = 1 << 16  # bytes of chunks behind the sound
_MAX_OGG_PAGE = 27 + 255 + 255 * 255


@dataclass(frozen=True)
class Sound:
    """The sound in a file, in bytes.

    Parameters
    ----------
    announced : int or None
        How much the header says that there is; None if it does not know.
    there : int
        How much there is.
    first : int
        Place of the first sample.
    header : bytes or None
        The correct header, where that of the file is wrong.
    """

    announced: int | None
    there: int
    first: int
    header: bytes | None = None


@dataclass(frozen=True)
class _Layout:
    """How the chunks of a format follow each other, each with a name and a size."""

    first: int  # place of the first chunk
    name_length: int
    size_format: str
    counts_itself: bool  # whether a size includes name and size
    alignment: int
    sound: bytes  # how the name of the chunk with the samples begins
    prefix: int = 0  # bytes in that chunk before the samples

    @property
    def head(self) -> int:
        """The length of name and size."""
        return self.name_length + struct.calcsize(self.size_format)

    def size_of(self, head: bytes) -> int:
        """Return how many bytes follow the head of a chunk."""
        (size,) = struct.unpack(self.size_format, head[self.name_length :])
        return size - self.head if self.counts_itself else size

    def after(self, place: int, size: int) -> int:
        """Return the place of the next chunk."""
        return place + self.head + size + -size % self.alignment


_AIFF = _Layout(12, 4, ">I", False, 2, b"SSND", 8)
_SVX = _Layout(12, 4, ">I", False, 2, b"BODY")
_LAYOUTS = {  # by the first four bytes, and those from the eighth on
    (b"RIFF", b"WAVE"): _Layout(12, 4, "<I", False, 2, b"data"),
    (b"RF64", b"WAVE"): _Layout(12, 4, "<I", False, 2, b"data"),
    (b"RIFX", b"WAVE"): _Layout(12, 4, ">I", False, 2, b"data"),
    (b"FORM", b"AIFF"): _AIFF,
    (b"FORM", b"AIFC"): _AIFF,
    (b"FORM", b"8SVX"): _SVX,
    (b"FORM", b"16SV"): _SVX,
}
_W64 = _Layout(40, 16, "<q", True, 8, b"data")
_CAF = _Layout(8, 4, ">q", False, 1, b"data", 4)
_AU = {b".snd": ">", b"dns.": "<"}


def find_sound(stream: BinaryIO) -> Sound | None:
    """Find the sound of a WAV, RF64, W64, AIFF, SVX, CAF or AU file; None for other files.

    The position of the stream is kept.
    """
    begin = stream.tell()
    stream.seek(0, os.SEEK_END)
    end = stream.tell()
    try:
        start = _after_tag(stream, begin)
        head = _read(stream, start, 12)
        if head[:4] in _AU and len(head) == 12:
            return _find_in_au(stream, start, end)
        layout = {b"riff": _W64, b"caff": _CAF}.get(head[:4])
        layout = layout or _LAYOUTS.get((head[:4], head[8:]))
        sound = None if layout is None else _find_in_chunks(stream, layout, start, end)
        if sound is not None and sound.header is None and start > begin:
            # Behind a tag libsndfile loses as much of the end.
            header = _read(stream, start, sound.first - start)
            return replace(sound, header=header)
        return sound
    finally:
        stream.seek(begin)


def lacks_end(stream: BinaryIO) -> bool:
    """Return whether a file is OGG, and its last page is incomplete or not marked as the last.

    The position of the stream is kept.
    """
    begin = stream.tell()
    stream.seek(0, os.SEEK_END)
    end = stream.tell()
    try:
        if _read(stream, begin, 4) != b"OggS":
            return False
        tail = _read(stream, max(begin, end - _MAX_OGG_PAGE), _MAX_OGG_PAGE)
        page = tail[tail.rfind(b"OggS\0") :]
        segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
        complete = len(segments) > 0 and len(page) >= 27 + len(segments) + sum(segments)
        return not (complete and page[5] & 4)
    finally:
        stream.seek(begin)


def _read(stream: BinaryIO, place: int, n_bytes: int) -> bytes:
    stream.seek(place)
    return stream.read(n_bytes)


def _after_tag(stream: BinaryIO, place: int) -> int:
    """Return where a file begins behind its ID3 tag, if it has one."""
    head = _read(stream, place, 10)
    if head[:3] != b"ID3" or len(head) < 10:
        return place
    size = 0
    for byte in head[6:]:
        size = size << 7 | byte & 0x7F
    return place + 10 + size


def _find_in_au(stream: BinaryIO, start: int, end: int) -> Sound | None:
    head = _read(stream, start, 12)
    order = _AU[head[:4]]
    offset, size = struct.unpack(f"{order}II", head[4:])
    first = start + offset
    there = end - first
    if there < 0 or offset > _MAX_HEADER:
        return None
    if 0 < size <= there and not _is_wrapped(size, there):
        return Sound(size, there, first)
    unknown = size <= there or size >= ENDLESS
    header = bytearray(_read(stream, start, offset))
    header[8:12] = struct.pack(f"{order}I", there if there < _LARGEST else _LARGEST)
    return Sound(None if unknown else size, there, first, bytes(header))


def _find_in_chunks(stream: BinaryIO, layout: _Layout, start: int, end: int) -> Sound | None:
    place, long_size = start + layout.first, None
    for _ in range(_MAX_CHUNKS):
        head = _read(stream, place, layout.head)
        if len(head) < layout.head:
            return None
        size = layout.size_of(head)
        if head.startswith(layout.sound):
            break
        if head.startswith(b"ds64"):
            long_size = place + layout.head + 8
        place = layout.after(place, size)
        if size < 0 or place > end:
            return None
    else:
        return None
    limit = ENDLESS if layout.head == 8 else _ENDLESS_64
    if long_size is not None and size == _LARGEST:
        (size,), limit = struct.unpack("<Q", _read(stream, long_size, 8)), _ENDLESS_64
    first = place + layout.head + layout.prefix
    there, announced = max(end - first, 0), size - layout.prefix
    unknown = announced <= 0 or size >= limit
    wrapped = layout.head == 8 and _is_wrapped(announced, there)
    if unknown and size <= there + layout.prefix:  # or does it know?
        after = layout.after(place, max(size, 0))
        unknown = after < end and not _are_chunks(stream, layout, after, end)
        announced = max(announced, 0)
    unknown = unknown or wrapped
    if first - start > _MAX_HEADER or (not unknown and announced <= there):
        return Sound(announced, there, first)
    header = _read(stream, start, first - start)
    repaired = _repaired(header, layout, place - start, there)
    return Sound(None if unknown else announced, there, first, repaired)


def _is_wrapped(size: int, there: int) -> bool:
    """Return whether a size of 32 bits is what is left of one of more than 4 GiB."""
    return there > _LARGEST and 0 <= (there - size) % (_LARGEST + 1) < _MAX_TAIL


def _are_chunks(stream: BinaryIO, layout: _Layout, place: int, end: int) -> bool:
    """Return whether chunks follow each other exactly up to the end of the file."""
    for _ in range(_MAX_CHUNKS):
        if place >= end:
            return place < end + layout.alignment
        head = _read(stream, place, layout.head)
        if len(head) < layout.head or not head[:4].decode("latin1").isprintable():
            return False
        size = layout.size_of(head)
        if size < 0:
            return False
        place = layout.after(place, size)
    return False


def _repaired(header: bytes, layout: _Layout, place: int, there: int) -> bytes | None:
    """Return a header that says how much sound there is; None if it cannot."""
    long = there + layout.prefix > _LARGEST and layout.head == 8
    size = there + layout.prefix + (layout.head if layout.counts_itself else 0)
    field = place + layout.name_length
    if header[:4] == b"RF64" or (long and header[:4] == b"RIFF"):
        sizes = struct.pack("<QQQI", len(header) + there, there, 0, 0)
        body = _without_ds64(header[12:field])
        return (
            b"RF64" + struct.pack("<I", _LARGEST) + b"WAVEds64"
            + struct.pack("<I", len(sizes)) + sizes
            + body + struct.pack("<I", _LARGEST)
        )  # fmt: skip
    if long:
        return None
    packed = struct.pack(layout.size_format, size)
    return header[:field] + packed + header[field + len(packed) :]


def _without_ds64(chunks: bytes) -> bytes:
    """Return the chunks of an RF64 header from behind its sizes, which come first."""
    if chunks[:4] != b"ds64":
        return chunks
    (size,) = struct.unpack("<I", chunks[4:8])
    return chunks[8 + size + size % 2 :]
