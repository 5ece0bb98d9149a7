# SPDX-License-Identifier: GPL-2.0-or-later
"""Input for kmod_fuzz.py: requests, messages and frames that are good, nearly good
or rubbish, each drawn from the random.Random that is given."""

import struct

from kmod_kit import *

NODES = (b"", b"alpha", b"beta", b"gamma", b"*")
FUNCTIONS = (b"checksum", b"virgo.cache.get", b"virgo.cache.set", b"virgo.run",
             b"none")


def any_name(r, known, size):
    """A name for a field of @size bytes: mostly one that is known."""
    kind = r.randrange(12)
    if kind < 9:
        return r.choice(known)
    if kind == 9:
        return b"x" * size # no NUL at its end
    return r.randbytes(r.randrange(size + 1))


def any_number(r, bits):
    return r.choice((0, 1, 2, (1 << bits) - 1, 1 << (bits - 1), r.randrange(200),
                     r.randrange(1 << bits))) % (1 << bits)


# Netlink.

SIZES = {A_TYPE: "B", A_MODE: "B", A_CACHE_PORT: "H", A_CACHE_HELD: "Q",
         A_CACHE_ITEMS: "Q", **{kind: "Q" for kind in U64}}
NEEDED = {
    CMD_VAR_SET: (A_NAME, A_UNIT, A_PRODUCER, A_TYPE, A_MODE, A_VALUE, A_MIN,
                  A_MAX, A_DEFAULT, A_TTL, A_CONFIDENCE),
    CMD_VAR_GET: (A_NAME,),
    CMD_LIMITS_SET: (A_LIMIT_HANDLES, A_LIMIT_CALLS, A_LIMIT_JOBS,
                     A_LIMIT_RULES, A_LIMIT_CONNECTIONS, A_LIMIT_CACHES),
    CMD_FN_ALLOW: (A_FN_NAME, A_NODE),
    CMD_FN_DENY: (A_FN_NAME, A_NODE),
    CMD_CACHE_START: (A_CACHE_PORT,),
    CMD_CACHE_STOP: (A_CACHE_PORT,),
    CMD_CACHE_SET: (A_CACHE_PORT,),
    CMD_CALLER_ALLOW: (A_UID, A_USER),
    CMD_CALLER_DENY: (A_UID,),
    CMD_NODE_SET: (A_NODE,),
}
TERMS = (A_CACHE_IDLE, A_CACHE_STALL, A_CACHE_CLIENTS, A_CACHE_HOT,
         A_CACHE_WARM)
MAY = {
    CMD_FN_ALLOW: (A_USER,),
    CMD_FN_DENY: (A_USER,),
    CMD_CACHE_START: (A_CACHE_BYTES, A_CACHE_VALUE, *TERMS),
    CMD_CACHE_SET: TERMS,
}


def good_value(r, kind, ports):
    if kind == A_CACHE_PORT:
        return struct.pack("H", r.choice(ports))
    if kind == A_CACHE_BYTES:
        return struct.pack("Q", r.choice((0, 8 << 20, 9 << 20, 16 << 20)))
    if kind in (A_CACHE_HOT, A_CACHE_WARM):
        return struct.pack("I", r.randrange(60))
    if kind == A_TYPE:
        return struct.pack("B", r.randrange(1, 5))
    if kind == A_MODE:
        return struct.pack("B", r.randrange(3))
    if kind == A_FN_NAME:
        return r.choice(FUNCTIONS) + b"\0"
    if kind == A_NODE:
        return r.choice(NODES) + b"\0"
    if kind == A_NAME:
        return r.choice((b"kernel.connections", b"cache.hot_percent",
                         b"v.%d" % r.randrange(3000))) + b"\0"
    if kind in TEXT:
        return r.choice((b"", b"a", b"bb", b"ppm")) + b"\0"
    if kind in (A_MIN,):
        return bytes(8)
    if kind in (A_MAX,):
        return struct.pack("Q", 1 << 40)
    letter = SIZES.get(kind, "I")
    return struct.pack(letter, any_number(r, 8 * struct.calcsize(letter)))


def bad_value(r, kind, ports, depth=0):
    which = r.randrange(5)
    good = good_value(r, kind, ports)
    if which == 0:
        return good[:r.randrange(len(good) + 1)]
    if which == 1:
        return good.rstrip(b"\0") + b"y" * r.randrange(300)
    if which == 2:
        return r.randbytes(r.randrange(64))
    if which == 3 and depth < 30:
        return attribute(r.randrange(40) | 0x8000,
                         bad_value(r, kind, ports, depth + 1))
    return b""


def attribute(kind, value, size=None):
    data = struct.pack("HH", 4 + len(value) if size is None else size, kind)
    return data + value + bytes(-len(value) % 4)


def any_attributes(r, command, ports):
    kinds = list(NEEDED.get(command, ()))
    kinds += [kind for kind in MAY.get(command, ()) if r.random() < .5]
    broken = r.random() < .4
    if broken:
        for _ in range(r.randrange(3)):
            if kinds and r.random() < .5:
                kinds.pop(r.randrange(len(kinds)))
            else:
                kinds.append(r.randrange(40))
        r.shuffle(kinds)
    data = b""
    for kind in kinds:
        if broken and r.random() < .3:
            size = r.choice((None, None, 0, 3, 4, 0xFFFF))
            data += attribute(kind | r.choice((0, 0, 0x4000, 0x8000)),
                              bad_value(r, kind, ports), size)
        else:
            data += attribute(kind, good_value(r, kind, ports))
    return data + (r.randbytes(r.randrange(9)) if broken else b"")


def any_netlink(r, family, ports):
    """One to four requests in one message."""
    data = b""
    for _ in range(r.choice((1, 1, 1, 1, 4))):
        command = r.choice(list(NEEDED)) if r.random() < .9 else \
            r.randrange(256)
        body = struct.pack("BBH", command, r.choice((1, 1, 1, 0, 9)),
                           r.choice((0, 0, 0, 0, 7)))
        body += any_attributes(r, command, ports)
        size = 16 + len(body)
        if r.random() < .05:
            size = r.choice((0, 15, 16, 19, size - 1, size + 1, 1 << 31))
        flags = r.choice((5, 5, 5, 1, 0, 0x305, 0x301, 0xFFFF))
        data += struct.pack("IHHII", size, family, flags, r.randrange(1 << 32),
                            0) + body + bytes(-len(body) % 4)
    return data


# memcached's protocol: text, meta and binary.

TEXTS = (b"get", b"gets", b"gat", b"gats", b"set", b"add", b"replace", b"append",
         b"prepend", b"cas", b"delete", b"incr", b"decr", b"touch", b"flush_all",
         b"version", b"verbosity", b"stats", b"mn", b"mg", b"ms", b"md", b"ma",
         b"me", b"cache_memlimit", b"shutdown", b"watch", b"slabs", b"lru")
STORES = TEXTS[4:10] + (b"ms",)
META_FLAGS = b"bcCEfFhIJklMNOqRstTuvxWXZ"


def any_key(r):
    kind = r.randrange(20)
    if kind == 0:
        return b"k" * r.choice((249, 250, 251, 3000))
    if kind == 1:
        return r.randbytes(r.randrange(20))
    return b"k%d" % r.randrange(200)


def any_length(r):
    return r.choice((0, 1, 2, 9, 100, 1023, 1024, 5000, 70000,
                     r.randrange(3000)))


def any_word(r):
    return r.choice((b"0", b"1", b"-1", b"60", b"4294967296", b"noreply",
                     b"99999999999999999999999", b"\x80", b"v", b"",
                     b"%d" % r.randrange(1 << 40)))


def any_text(r):
    command = r.choice(TEXTS)
    value = b""
    if command == b"ms":
        value = r.randbytes(any_length(r))
        words = [any_key(r), b"%d" % len(value)]
    elif command in STORES:
        value = r.randbytes(any_length(r))
        words = [any_key(r), b"%d" % r.randrange(1 << 16),
                 r.choice((b"0", b"1", b"100", b"-1")), b"%d" % len(value)]
        if command == b"cas":
            words.append(b"%d" % r.randrange(5000))
    elif command in (b"gat", b"gats"):
        words = [b"100"] + [any_key(r) for _ in range(r.randrange(5))]
    elif command in (b"get", b"gets"):
        words = [any_key(r) for _ in range(r.choice((1, 1, 2, 100)))]
    elif command in (b"incr", b"decr", b"touch"):
        words = [any_key(r), b"%d" % r.randrange(1 << 20)]
    elif command in (b"flush_all", b"stats"):
        words = r.choice(([], [b"10"], [b"items"], [b"slabs"], [b"settings"]))
    else:
        words = [any_key(r)]
    if command.startswith(b"m") and r.random() < .8:
        for _ in range(r.randrange(6)):
            flag = bytes([r.choice(META_FLAGS)])
            words.append(flag + (any_word(r) if flag in b"CDEFIJMNOT" else b""))
    if r.random() < .15:
        words.insert(r.randrange(len(words) + 1), any_word(r))
    if words and r.random() < .05:
        words.pop(r.randrange(len(words)))
    data = b" ".join([command] + words) + r.choice((b"\r\n",) * 20 + (b"\n", b"\r"))
    if value or command in STORES:
        data += value + r.choice((b"\r\n",) * 20 + (b"", b"\r", b"xx"))
    return data


def any_binary(r):
    key = any_key(r)[:250]
    opcode = r.choice((r.randrange(0x26), r.randrange(256)))
    extra = r.randbytes(r.choice((0, 4, 8, 20)))
    value = r.randbytes(any_length(r)) if r.random() < .5 else b""
    lengths = [len(key), len(extra), len(extra) + len(key) + len(value)]
    if r.random() < .1:
        at = r.randrange(3)
        lengths[at] = any_number(r, (16, 8, 32)[at])
    return struct.pack(">BBHBBHIIQ", 0x80, opcode, lengths[0], lengths[1],
                       r.choice((0, 0, 0, 1)), 0, lengths[2], r.randrange(1 << 32),
                       r.choice((0, 0, 1, r.randrange(1 << 64)))) + \
        extra + key + value


def any_memcached(r):
    kind = r.randrange(20)
    if kind == 0:
        return r.randbytes(r.randrange(1, 3000))
    one = any_binary if kind < 6 else any_text
    data = b"".join(one(r) for _ in range(r.choice((1, 1, 3, 16, 60))))
    if kind == 7:
        data = bytearray(data)
        for _ in range(r.randrange(1, 4)):
            data[r.randrange(len(data))] = r.randrange(256)
    return bytes(data)


# Frames from another node.

TYPES = (1, 2, 3, 4, 5, 256, 256, 256, 256, 257, 258)


def any_payload(r, kind):
    if kind == 256:
        name = any_name(r, FUNCTIONS, 48)
        argument = r.randbytes(r.choice((0, 2, 12, 40, 1000, 65536, 65537)))
        user = any_name(r, (b"", b"", b"ann", b"*"), 64)
        data = struct.pack("<I", len(name)) + name + struct.pack(
            "<III", r.choice((1, 100, 3600000, any_number(r, 32))),
            any_number(r, 17), len(argument)) + argument
        return data + (struct.pack("<I", len(user)) + user if r.random() < .5
                       else b"")
    if kind == 257:
        data = r.randbytes(r.randrange(100))
        return struct.pack("<I", r.choice((len(data), any_number(r, 32)))) + data
    if kind == 2:
        return struct.pack("<i", -r.randrange(5000)) + bytes(12)
    return r.randbytes(r.choice((0, 1, 8, 8, 8, 200)))


def any_job_payload(r, kind):
    if kind == START:
        return order(r.choice(("root", "ann", "ann", "", "*", "u" * 64)), "x",
                     window=r.choice((0, 100, 65536, 2 << 20, any_number(r, 32))),
                     env=bytes(r.choice((0, 0, 9, 5000, 130000, 140000))))
    if kind == STARTED:
        return struct.pack("<QI", 1, 2) + text("x")
    if kind == DATA:
        return bytes(r.choice((0, 0, 1, 90, 100, 5000, 40000, 131072, 131073)))
    if kind == SIGNAL:
        return struct.pack("<I", r.choice((1, 9, 15, 64, 64, 0, 65)))
    if kind == WINCH:
        return struct.pack("<HH", any_number(r, 16), any_number(r, 16))
    if kind == EXIT:
        return exit_of(r.randrange(256), r.randrange(9))
    if kind == ERROR:
        return any_payload(r, kind)
    return b""


ASKED = (START, START, START, DATA, CREDIT, CREDIT, SIGNAL, WINCH, CANCEL)
ANSWERED = (STARTED, STARTED, DATA, DATA, DATA, CREDIT, EXIT, ERROR)


def any_job(r, tags=()):
    """A frame of a job: mostly as the side says it that asks, or, to those of
    @tags, the side that serves."""
    answer = bool(tags) and r.random() < .8
    kind = r.choice(ANSWERED if answer else ASKED)
    payload = any_job_payload(r, kind)
    flags = r.choice((0, 0, 0, EOF)) if kind == DATA else 0
    if answer:
        flags |= REPLY | (0 if kind in (EXIT, ERROR) else MORE)
    there = kind == DATA if answer else kind == CREDIT
    stream = r.choice((1, 2)) if there else 0
    credit = r.choice((1, 100, 65536, 1 << 20)) if kind in (
        CREDIT, STARTED) else 0
    if r.random() < .06:
        flags, stream = r.randrange(8), r.randrange(5)
        credit = any_number(r, 32)
    if r.random() < .03:
        payload = payload[:r.randrange(len(payload) + 1)] + bytes(r.randrange(3))
    return frame(kind, payload, r.choice(tags) if answer else r.randrange(6),
                 flags, stream=stream, credit=credit)


def any_jobs(r, tags=()):
    return b"".join(any_job(r, tags) for _ in range(r.choice((1, 2, 20))))


def any_frames(r, tags=()):
    """One to twenty frames; answers to @tags among them."""
    if r.random() < .4:
        return any_jobs(r, tags)
    data = b""
    for _ in range(r.choice((1, 2, 20))):
        kind = r.choice(TYPES) if r.random() < .95 else r.randrange(1 << 16)
        payload = any_payload(r, kind)
        if r.random() < .05:
            payload = payload[:r.randrange(len(payload) + 1)]
        reply = kind in (2, 5, 257) or r.random() < .1
        tag = r.choice(tags) if tags and reply else r.choice(
            (r.randrange(1 << 64), r.randrange(20)))
        length = len(payload)
        if r.random() < .02:
            length = any_number(r, 32)
        data += frame(kind, payload, tag, r.choice((0, 255)) if r.random() < .03
                      else int(reply), length)
    if r.random() < .05:
        data = bytearray(data)
        data[r.randrange(len(data))] ^= 1 << r.randrange(8)
    return bytes(data)
