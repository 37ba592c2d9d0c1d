#!/usr/bin/env python3
"""Writes slot_tags.inc, which companion.c includes: the CRC16 of the Redis Cluster Specification (XMODEM) by bytes, and
for each of the 16384 hash slots the first word of three letters or digits that hashes to it; meson runs it at build time.

Usage: gen_slot_tags.py slot_tags.inc
"""
import binascii
import itertools
import string
import sys

SLOTS = 16384
LETTERS = string.ascii_lowercase + string.digits + string.ascii_uppercase


def tags():
    found = {}
    for letters in itertools.product(LETTERS, repeat=3):
        word = "".join(letters)
        found.setdefault(binascii.crc_hqx(word.encode(), 0) % SLOTS, word)
    if len(found) != SLOTS:
        sys.exit(f"gen_slot_tags.py: only {len(found)} of {SLOTS} slots have a word of three letters")
    return [found[slot] for slot in range(SLOTS)]


def rows(items, per_row):
    for start in range(0, len(items), per_row):
        yield "    " + ", ".join(items[start:start + per_row]) + ",\n"


def main():
    crcs = [f"0x{binascii.crc_hqx(bytes([byte]), 0):04x}" for byte in range(256)]
    characters = [", ".join(f"'{letter}'" for letter in tag) for tag in tags()]
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write("/* Made by gen_slot_tags.py. */\n")
        out.write("static const uint16_t crc16_of_byte[256] = {\n" + "".join(rows(crcs, 12)) + "};\n")
        out.write("static const char slot_tags[][3] = {\n")
        out.write("".join(rows([f"{{{tag}}}" for tag in characters], 5)) + "};\n")


if __name__ == "__main__":
    main()
