# SPDX-License-Identifier: GPL-2.0-or-later
"""What meson's reports of a suite say, for tests/run.

	meson_report.py --failed FIRST     the programs in which something failed
	meson_report.py FIRST [AGAIN]      VERDICT<tab>NAME, a line a test case

VERDICT is ok, not, skip or, of what failed in FIRST and passed when its program
ran once more (AGAIN), unsteady. Ends with status 1 when a report cannot be read.
"""
import sys
import xml.etree.ElementTree as tree


def verdict(case):
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"}:
        return "not"
    return "skip" if "skipped" in kinds else "ok"


def results(path):
    """{(program, case): verdict}; a program that did not end properly has a case
    more that says so."""
    found = {}
    for suite in tree.parse(path).getroot().iter("testsuite"):
        name = suite.get("name").split(".", 1)[-1]
        program = name.split(" / ")[-1]
        cases = list(suite.iter("testcase"))
        for case in cases:
            text = case.get("name").split(" - ")[-1].split("  (")[0]
            key = program, text.replace("\t", " ")
            while key in found:  # parameterised tests share a name
                key = program, key[1] + " "
            found[key] = verdict(case)
        if int(suite.get("errors") or 0) or not cases:
            found[program, name + " ended properly"] = "not"
    return found


def main(first, again=None):
    if first == "--failed":
        print("\n".join(sorted({program for (program, _), how
                                in results(again).items() if how == "not"})))
        return
    found = results(first)
    later = results(again) if again else {}
    whole = {program for program, _ in later} - {
        program for (program, _), how in later.items() if how == "not"}
    for (program, case), how in found.items():
        if how == "not" and program in whole:
            how = "unsteady"
        print(how, case.strip(), sep="\t")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (OSError, tree.ParseError) as e:
        sys.exit(f"{sys.argv[0]}: {e}")
