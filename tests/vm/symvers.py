#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""symvers.py KERNEL MODULES-FOLDER: what they export, as Module.symvers has it.

Debian's user-mode-linux comes without one, and without it modpost cannot tell a
symbol that is not there. Versions of symbols are off in that kernel.
"""
import pathlib
import struct
import sys


def sections(elf):
    """Name to (address, bytes) of a 64-bit little-endian ELF file."""
    table, = struct.unpack_from("<Q", elf, 40)
    size, count, names = struct.unpack_from("<HHH", elf, 58)
    found = []
    for i in range(count):
        name, _, _, address, offset, length = struct.unpack_from(
            "<IIQQQQ", elf, table + i * size)
        found.append((name, address, elf[offset:offset + length]))
    strings = found[names][2]
    return {strings[name:strings.index(b"\0", name)].decode(): (address, data)
            for name, address, data in found}


def exported_by_kernel(elf):
    """Each entry of its tables: value, name, name space, as addresses."""
    found = sections(elf)
    base, strings = found["__ksymtab_strings"]
    for table in "__ksymtab", "__ksymtab_gpl":
        for _, name, _ in struct.iter_unpack("<QQQ", found[table][1]):
            yield strings[name - base:strings.index(b"\0", name - base)]


def exported_by_module(elf):
    """Their tables are not relocated yet: the symbols that name the entries."""
    mark = b"__ksymtab_"
    for name in sections(elf)[".strtab"][1].split(b"\0"):
        if name.startswith(mark):
            yield name[len(mark):]


def show(names, owner):
    for name in names:
        print(f"0x00000000\t{name.decode()}\t{owner}\tEXPORT_SYMBOL_GPL\t")


kernel, modules = map(pathlib.Path, sys.argv[1:])
show(exported_by_kernel(kernel.read_bytes()), "vmlinux")
for module in sorted(modules.rglob("*.ko")):
    show(exported_by_module(module.read_bytes()),
         module.relative_to(modules).with_suffix(""))
