"""Pictures as (width, height, RGB bytes): those that QEMU and prime-tool write, read independently of both, and compared."""

import zlib


class Failure(Exception):
    """Something did not come in time, or not as it should."""


def read_ppm(path):
    with open(path, "rb") as file:
        data = file.read()
    fields = data.split(None, 4)[:4]
    if fields[0] != b"P6" or fields[3] != b"255":
        raise Failure(f"{path} is no PPM of eight bits")
    width, height = int(fields[1]), int(fields[2])
    return width, height, data[len(data) - 3 * width * height :]


def read_png(path):
    """Reads a PNG of eight-bit RGB; PNG specification, 'Filtering'."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise Failure(f"{path} is no PNG")
    position, packed, header = 8, b"", None
    while position < len(data):
        size, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        body = data[position + 8 : position + 8 + size]
        if zlib.crc32(kind + body) != int.from_bytes(data[position + 8 + size : position + 12 + size], "big"):
            raise Failure(f"{path}: the checksum of {kind} is wrong")
        header = body if kind == b"IHDR" else header
        packed += body if kind == b"IDAT" else b""
        position += 12 + size
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    if header[8:] != bytes([8, 2, 0, 0, 0]):
        raise Failure(f"{path} is not of eight-bit RGB without interlacing")
    raw, pitch = zlib.decompress(packed), 3 * width
    above, rows = bytearray(pitch), []
    for start in range(0, len(raw), pitch + 1):
        row = unfilter(raw[start], bytearray(raw[start + 1 : start + 1 + pitch]), above)
        rows.append(bytes(row))
        above = row
    if len(rows) != height:
        raise Failure(f"{path} has {len(rows)} rows and says {height}")
    return width, height, b"".join(rows)


def unfilter(kind, row, above):
    if kind == 0:
        return row
    if kind == 2:
        return bytearray(a + b & 255 for a, b in zip(row, above))
    for index in range(len(row)):
        left = row[index - 3] if index >= 3 else 0
        corner = above[index - 3] if index >= 3 else 0
        if kind == 1:
            guess = left
        elif kind == 3:
            guess = left + above[index] >> 1
        elif kind == 4:
            estimate = left + above[index] - corner
            distances = [abs(estimate - value) for value in (left, above[index], corner)]
            guess = (left, above[index], corner)[distances.index(min(distances))]
        else:
            raise Failure(f"there is no filter {kind}")
        row[index] = row[index] + guess & 255
    return row


def different(one, other):
    """How many pixels differ; all of them where the sizes do."""
    if one[:2] != other[:2]:
        return max(one[0] * one[1], other[0] * other[1])
    if one[2] == other[2]:
        return 0
    a, b = one[2], other[2]
    return sum(a[i : i + 3] != b[i : i + 3] for i in range(0, len(a), 3))


def write_png(path, picture):
    """Writes a PNG of eight-bit RGB."""
    width, height, pixels = picture
    pitch = 3 * width
    raw = b"".join(b"\0" + pixels[start : start + pitch] for start in range(0, len(pixels), pitch))
    chunks = [(b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0]))]
    chunks += [(b"IDAT", zlib.compress(raw, 9)), (b"IEND", b"")]
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, body in chunks:
            file.write(len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big"))


def beside(left, right, gap=16, colour=(128, 128, 128)):
    """Two pictures of one height, with a gap between them."""
    if left[1] != right[1]:
        raise Failure(f"one picture has {left[1]} rows and the other {right[1]}")
    rows = []
    for y in range(left[1]):
        rows.append(left[2][3 * left[0] * y : 3 * left[0] * (y + 1)] + bytes(colour) * gap + right[2][3 * right[0] * y : 3 * right[0] * (y + 1)])
    return left[0] + gap + right[0], left[1], b"".join(rows)
