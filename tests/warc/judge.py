"""Reads WARC files with Python's standard library alone, and prints what is in them as JSON lines.

Fails unless each gzip member is exactly one record whose length and digests are right, and the first one of each file is
about the file.
"""

import hashlib
import json
import sys
import zlib


def members(data):
    offset = 0
    while offset < len(data):
        decoder = zlib.decompressobj(31)
        plain = decoder.decompress(data[offset:])
        assert decoder.eof, f"offset {offset}: the member is not whole"
        end = len(data) - len(decoder.unused_data)
        yield offset, end - offset, plain
        offset = end


def check(fields, name, content):
    declared = fields.get(name)
    if declared is not None:
        algorithm, _, value = declared.partition(":")
        assert hashlib.new(algorithm, content).hexdigest() == value, f"{name} of {fields}"


for path in sys.argv[1:]:
    with open(path, "rb") as file:
        data = file.read()
    for number, (offset, length, plain) in enumerate(members(data)):
        header, _, rest = plain.partition(b"\r\n\r\n")
        first, *lines = header.decode().split("\r\n")
        assert first == "WARC/1.1", first
        pairs = [line.split(": ", 1) for line in lines]
        fields = {name.lower(): value for name, value in pairs}
        assert len(fields) == len(pairs), pairs
        size = int(fields["content-length"])
        assert rest[size:] == b"\r\n\r\n", f"offset {offset}: the block has another length"
        block = rest[:size]
        kind = fields["warc-type"]
        assert (kind == "warcinfo") == (number == 0), f"offset {offset}: {kind}"
        check(fields, "warc-block-digest", block)
        head = b""
        if fields["content-type"].startswith("application/http"):
            head, separator, payload = block.partition(b"\r\n\r\n")
            head += separator
        else:
            payload = block
        if kind != "revisit":
            check(fields, "warc-payload-digest", payload)
        print(json.dumps({
            "file": path, "offset": offset, "length": length, "kind": kind, "fields": fields,
            "head": head.decode("latin-1"), "payload": payload.decode("latin-1"),
        }))
