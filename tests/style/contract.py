#!/usr/bin/env python3
"""Check tests/contract.map: what the behaviour contract asks for, and the tests that show it.

tests/contract.ids lists the ids of the contract. tests/contract.map has one line for each:

    C8.13: summary | timer.equal_deadlines_run_in_arming_order, loop.another_test
    B71: summary | later: windows
    C8.9: summary | n/a: the reason
    B12: summary | row: tsan

where `timer.x` is cmocka_unit_test(x) in tests/test_timer.c, `row: x` is a row of script/test, and
`#` begins a comment line. A line for an unknown id, a second line for an id, a line without a
summary and evidence that does not exist fail the check; so does a missing line with --strict.
"""
import argparse
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
LINE = re.compile(r"^([BC][0-9]+(?:\.[0-9]+)?[a-z]?): *([^|]*[^| ]) *\| *(\S.*)$")


def registered_tests():
    """{file: names} of all cmocka_unit_test lines."""
    found = {}
    for path in sorted((TOP / "tests").glob("test_*.c")):
        names = re.findall(r"^ *cmocka_unit_test[a-z_]*\(([a-z0-9_]+)", path.read_text(), re.M)
        found[path.stem.removeprefix("test_")] = set(names)
    return found


def rows_of_script():
    """The rows of script/test, as its `row NAME` lines define them."""
    path = TOP / "script" / "test"
    return set(re.findall(r"^row ([a-z0-9]+)", path.read_text(), re.M)) if path.exists() else set()


def problems_of_evidence(evidence, tests, rows):
    """What is wrong with the right-hand side of a line."""
    form = re.match(r"^(later|n/a|row): *(.*)$", evidence)
    if form:
        kind, text = form.groups()
        if not text:
            yield f"`{kind}:` without a text"
        elif kind == "row" and text not in rows:
            yield f"no row `{text}` in script/test"
        return
    for name in re.split(r" *, *", evidence):
        parts = name.split(".")
        if len(parts) != 2:
            yield f"`{name}` is not of the form file.test"
        elif parts[0] not in tests:
            yield f"there is no tests/test_{parts[0]}.c (for `{name}`)"
        elif parts[1] not in tests[parts[0]]:
            yield f"tests/test_{parts[0]}.c registers no `{parts[1]}`"


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--strict", action="store_true", help="a missing line fails, too")
    args = ap.parse_args()

    ids = (TOP / "tests" / "contract.ids").read_text().split()
    tests, rows = registered_tests(), rows_of_script()
    seen, bad, kinds = {}, [], {"tested": 0, "later": 0, "n/a": 0}
    text = (TOP / "tests" / "contract.map").read_text()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"tests/contract.map:{number}"
        match = LINE.match(line)
        if not match:
            bad.append(f"{where}: not of the form `id: summary | tests`: {line}")
            continue
        row, _, evidence = match.groups()
        if row not in ids:
            bad.append(f"{where}: {row} is not in tests/contract.ids")
        if row in seen:
            bad.append(f"{where}: {row} stands in line {seen[row]}, too")
        seen[row] = number
        bad += [f"{where}: {row}: {p}" for p in problems_of_evidence(evidence, tests, rows)]
        form = re.match(r"(later|n/a):", evidence)
        kinds[form.group(1) if form else "tested"] += 1

    missing = [row for row in ids if row not in seen]
    print("\n".join(bad), end="\n" if bad else "")
    if missing:
        print(f"{len(missing)} of {len(ids)} ids have no line: {' '.join(missing)}")
    print(", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    return 1 if bad or (missing and args.strict) else 0


if __name__ == "__main__":
    sys.exit(main())
