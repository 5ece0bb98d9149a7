# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the console blocks of documents, word for word, and prints TAP.

    console.py --user NAME [--folder DIR] FILE...

A console block is a fence marked "console" in Markdown, or a .Bd -literal whose
first line begins with a prompt in a manual page. "$ " runs as the user, "# " as
root, and both in the folder where the command before left off. What stands below
a command is what it must print: "..." on a line of its own stands for any lines,
inside a line for any text. Where nothing stands below it, it must succeed. "> "
continues a command.
A "$ sudo " runs as root on the user's behalf, as sudo would."""

import argparse
import os
import pwd
import re
import subprocess
import sys
import tempfile

PROMPT = re.compile(r"^(\$|#) (.*)")
SECONDS = 300


def blocks(path):
    """(line number, lines) of each console block."""
    manual = re.search(r"\.[1-9]$", path)
    begin = re.compile(r"^\.Bd .*-literal" if manual else r"^```console$")
    end = re.compile(r"^\.Ed" if manual else r"^```$")
    block, at = None, 0
    for number, line in enumerate(open(path), 1):
        line = line.rstrip("\n")
        if block is None:
            if begin.match(line):
                block, at = [], number
        elif end.match(line):
            if block and PROMPT.match(block[0]):
                yield at, block
            block = None
        else:
            if manual:
                line = line.replace("\\e", "\\").replace("\\-", "-")
                line = line.replace("\\&", "")
            block.append(line)


def commands(block):
    """(prompt, command, wanted lines) of each command of a block."""
    out = []
    for line in block:
        found = PROMPT.match(line)
        if out and line.startswith("> ") and not out[-1][2]:
            out[-1][1] += "\n" + line[2:]
        elif found:
            out.append([found.group(1), found.group(2), []])
        else:
            out[-1][2].append(line)
    return out


def matches(got, want):
    pattern = ""
    for line in want:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*"
        else:
            words = re.split(r"\s+", line.strip())
            pattern += r"\s*" + r"\s+".join(
                re.escape(w).replace(re.escape("..."), r".*")
                for w in words) + r"\s*\n"
    return re.fullmatch(pattern, got)


def run(prompt, command, user, folder, variables):
    """(status, output, folder and variables afterwards)"""
    with tempfile.NamedTemporaryFile("r") as where:
        os.chmod(where.name, 0o666)
        account = pwd.getpwnam(user)
        env = {"PATH": os.environ["PATH"], "HOME": account.pw_dir,
               "USER": user, "LOGNAME": user, "TERM": "dumb", "LANG": "C.UTF-8",
               "VIRGO_TESTS_MARK": os.environ.get("VIRGO_TESTS_MARK", "")}
        become = ["setpriv", "--reuid", user, "--regid", str(account.pw_gid),
                  "--init-groups"]
        if command.startswith("sudo "):
            command = command[len("sudo "):]
            env.update(SUDO_USER=user)
            prompt = "#"
        if prompt == "#":
            become = []
            if "SUDO_USER" not in env:
                env.update(HOME="/root", USER="root", LOGNAME="root")
        done = subprocess.run(
            become + ["bash", "-c",
                      f"{variables}\n"
                      f"trap 'pwd > {where.name}; declare -p | grep "
                      f"\"^declare -- [a-z]\" >> {where.name}' EXIT\n"
                      f"{command}\n"],
            cwd=folder, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
        after = where.read().split("\n", 1)
        folder = after[0] or folder
        return (done.returncode, done.stdout.decode(errors="replace"), folder,
                after[-1] if len(after) > 1 else variables)


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--user", required=True)
    parse.add_argument("--folder", help="where each document begins")
    parse.add_argument("files", nargs="+")
    args = parse.parse_args()
    failed = False
    for path in args.files:
        for at, block in blocks(path):
            folder = args.folder or pwd.getpwnam(args.user).pw_dir
            variables = ""
            for prompt, command, want in commands(block):
                name = f"{os.path.basename(path)}:{at} {prompt} {command}"
                name = name.replace("\n", " ")
                status, got, folder, variables = run(
                    prompt, command, args.user, folder, variables)
                if status == 0 and (not want or matches(got, want)):
                    print(f"ok - {name}", flush=True)
                    continue
                print(f"    status {status}, printed:")
                print("".join(f"    | {x}\n" for x in got.splitlines()), end="")
                if want:
                    print("    wanted:")
                    print("".join(f"    | {x}\n" for x in want), end="")
                print(f"not ok - {name}", flush=True)
                failed = True
    sys.exit(failed)


main()
