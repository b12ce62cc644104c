#!/usr/bin/env python3
"""Makes the subset of Fashion-MNIST that lies beside this script.

usage: make_subset.py [FOLDER OF THE WHOLE SET]

Takes the first images of each class, as many of each, in their original order.
"""
import gzip
import pathlib
import struct
import sys

CLASSES = 10
IMAGE = 28 * 28
SIZES = {"train": 2000, "t10k": 1000}

source = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist")
target = pathlib.Path(__file__).parent


def write(name, head, content):
    with open(target / name, "wb") as raw:
        # No file name and no time in the header: the same bytes each time.
        with gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
            packed.write(head + content)


for part, size in SIZES.items():
    images_name, labels_name = f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"
    images = gzip.open(source / images_name).read()[16:]
    labels = gzip.open(source / labels_name).read()[8:]
    left = [size // CLASSES] * CLASSES
    chosen = []
    for number, label in enumerate(labels):
        if left[label] > 0:
            left[label] -= 1
            chosen.append(number)
    write(images_name, struct.pack(">IIII", 0x803, size, 28, 28),
          b"".join(images[i * IMAGE:(i + 1) * IMAGE] for i in chosen))
    write(labels_name, struct.pack(">II", 0x801, size), bytes(labels[i] for i in chosen))
