#!/usr/bin/env python3
"""A witness for `prime-tool verify --witness "python3 examples/witness.py"`, from docs/handover.md alone.

It maps the buffer and copies its rows, so it says that it is software, and is never a proof. A real one has a device read the buffer.
"""

import fcntl
import mmap
import os
import socket
import struct
import sys

HEADER = struct.Struct("<4sHHII")
REQUEST = struct.Struct("<4sHHII IIII QII QII IIQ")
LOOK, AGAIN = 1, 1
DONE, REFUSED = 1, 3
UNKNOWN, DEVICE, SOFTWARE = 0, 1, 2
SYNC_READ, SYNC_END = 1, 4
BYTES_OF_PIXEL = {b"XR24": 4, b"AR24": 4, b"XB24": 4, b"AB24": 4, b"RG16": 2}


class Request:
    """What the tool asks, with the buffer and the memory mapped."""

    def __init__(self, message, descriptors, before):
        (magic, version, kind, length, _, fourcc, self.width, self.height, self.task, _, flags, _, self.offset, self.pitch, _, _,
         self.buffer_pitch, self.buffer_offset) = REQUEST.unpack_from(message)
        if (magic, version, kind, length) != (b"PRMB", 1, 4, 128):
            sys.exit("this is no request")
        self.row_bytes = self.width * BYTES_OF_PIXEL.get(struct.pack("<I", fourcc), 0)
        if flags & AGAIN:
            self.file, self.shared, self.buffer, self.memory = before.file, before.shared, before.buffer, before.memory
        elif self.task == LOOK:
            self.file, self.shared = descriptors
            self.buffer = mmap.mmap(self.file, os.lseek(self.file, 0, os.SEEK_END), prot=mmap.PROT_READ)
            self.memory = mmap.mmap(self.shared, os.fstat(self.shared).st_size)

    def picture_bytes(self):
        return self.pitch * (self.height - 1) + self.row_bytes

    def row(self, y):
        at = self.buffer_offset + y * self.buffer_pitch
        return self.buffer[at : at + self.row_bytes]

    def put(self, y, row):
        at = self.offset + y * self.pitch
        self.memory[at : at + len(row)] = row


def synced(file, body):
    """The bracket of DMA_BUF_IOCTL_SYNC; what is no dma-buf needs none."""
    def sync(flags):
        try:
            fcntl.ioctl(file, 0x40086200, struct.pack("<Q", flags))
        except OSError:
            pass

    sync(SYNC_READ)
    try:
        body()
    finally:
        sync(SYNC_READ | SYNC_END)


def answer(outcome, errno=0, renderer=UNKNOWN, rows=0, count=0, name="", operation="", sentence=""):
    return HEADER.pack(b"PRMB", 1, 5, 256, 0) + struct.pack(
        "<IIIIQ64s32s120s", outcome, errno, renderer, rows, count, name.encode(), operation.encode(), sentence.encode())


def serve(perform):
    """Hands each request to `perform` and sends what it gives back, until the tool closes its end."""
    connection = socket.socket(fileno=int(os.environ["PRIME_SOCKET"]))
    request = None
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, 4096, 4)
        if not message:
            return
        request = Request(message, descriptors, request)
        reply = perform(request, connection)
        if reply is not None:
            connection.send(reply)


def look(request, _connection):
    if request.task != LOOK or request.row_bytes == 0:
        return answer(REFUSED, errno=95, operation="request", sentence="only pictures of known formats are looked at")
    synced(request.file, lambda: [request.put(y, request.row(y)) for y in range(request.height)])
    return answer(DONE, renderer=SOFTWARE, rows=request.height, count=request.picture_bytes(), name="a mapping")


if __name__ == "__main__":
    serve(look)
