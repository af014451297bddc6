#!/usr/bin/env python3
"""Style as tests: each rule that a script can decide is one check, named on the command line.

usage: style.py CHECK          run one; exit status 0, 1 (each finding is printed), 77: skipped
       style.py --list         the names of all checks
"""
import argparse
import errno
import os
import re
import shutil
import subprocess
import sys

from source import (EVERYTHING, LIBRARY, TOP, code, conditionals, files, functions, includes,
                    line_of, name)

THREAD_WORDS = {"any", "signal", "home", "no coroutine", "coroutine"}
POSIX_AIO = {"aio_read", "aio_write", "aio_fsync", "aio_error", "aio_return", "aio_cancel",
             "aio_suspend", "aio_init"}
ISO_C = {f"{header}.h" for header in
         "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal "
         "stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath "
         "threads time uchar wchar wctype".split()}
# What a conditional may ask in core and the public headers: the compiler, never the system.
COMPILER = re.compile(r"__GNUC__|__clang__|__cplusplus|__STDC_\w+__|__has_\w+|__SANITIZE_\w+__|"
                      r"NDEBUG|AIO_\w+|AIOCTX_\w+|\bdefined\b|\b(?:address|thread)_sanitizer\b")
SYSTEM = re.compile(r"\b_WIN32\b|\b_WIN64\b|__linux__|__APPLE__|__unix__|__\w+BSD__|__sun|__GLIBC__|"
                    r"__ANDROID__|__CYGWIN__|__MINGW\w+")
PROCESSOR = re.compile(r"__x86_64\w*|__amd64\w*|__i\d86\w*|__aarch64\w*|__arm\w*|__riscv\w*|__powerpc\w*|"
                       r"__s390\w*|__mips\w*|_M_\w+")


class Skip(Exception):
    """Nothing can be said here, for the reason given."""


def public_headers():
    return files(["include/aioctx"], ".h", ".h.in")


def check_thread():
    """Every public function has a comment that ends in a `Thread:` line of known words."""
    for path in public_headers():
        text = path.read_text()
        for match in re.finditer(r"^AIO_EXPORT\b[^;]*?\b(\w+)\(", text, re.M):
            where = f"{name(path)}:{line_of(text, match.start())}: {match.group(1)}"
            comment = re.search(r"/\*((?:(?!\*/).)*)\*/\n$", text[:match.start()], re.S)
            if not comment:
                yield f"{where}: no comment stands directly above it"
                continue
            last = [line.strip(" *") for line in comment.group(1).strip().split("\n")][-1]
            words = re.fullmatch(r"Thread: (.+)", last)
            if not words:
                yield f"{where}: its comment does not end in a `Thread:` line"
            elif not set(words.group(1).split(", ")) <= THREAD_WORDS:
                yield f"{where}: `{last}` has a word that include/aioctx/types.h does not define"


def check_names():
    """Public functions are aio_*, and none has a name of POSIX AIO."""
    for path in public_headers():
        text = path.read_text()
        for match in re.finditer(r"^AIO_EXPORT\b[^;(]*?\b(\w+)\(", text, re.M):
            called = match.group(1)
            if not re.match(r"aio_[a-z]", called) or called in POSIX_AIO:
                yield f"{name(path)}:{line_of(text, match.start())}: {called} can't be public"
    for path in files(LIBRARY, ".c"):
        for head, _, called in functions(path.read_text()):
            if called in POSIX_AIO:
                yield f"{name(path)}:{head}: {called} is a name of POSIX AIO"


def check_interface():
    """The public headers have every name of interface.names, and none that it says comes later."""
    words = set()
    for path in public_headers():
        words |= set(re.findall(r"\w+", code(path.read_text())))
    listing = TOP / "tests/style/interface.names"
    for number, line in enumerate(listing.read_text().split("\n"), 1):
        later = re.fullmatch(r"later (\w+): .+", line)
        if later and later.group(1) in words:
            yield f"{name(listing)}:{number}: {later.group(1)} is there now"
        elif not later and line and not line.startswith("#") and line not in words:
            yield f"{name(listing)}:{number}: no public header has {line}"


def compiles_alone(header, include, compiler, *flags):
    """The compiler's complaints about a file with nothing but this #include."""
    run = subprocess.run([*compiler.split(), *flags, "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic",
                          "-Werror", *(f"-I{directory}" for directory in include), "-"],
                         input=f'#include "{header}"\nextern int nothing_else;\n',
                         capture_output=True, text=True)
    if run.returncode:
        yield f"{header} alone does not compile with {compiler} {' '.join(flags)}:\n{run.stderr}"


def check_headers():
    """Each public header compiles alone as C11 and C++17, each private one as C11."""
    built = os.environ.get("AIOCTX_BUILD_INCLUDE")
    if not built:
        raise Skip("AIOCTX_BUILD_INCLUDE does not name the directory of the generated headers")
    cc, cxx = os.environ.get("CC", "cc"), os.environ.get("CXX", "c++")
    include = [TOP / "include", built]
    for path in public_headers():
        header = f"aioctx/{path.name.removesuffix('.in')}"
        yield from compiles_alone(header, include, cc, "-std=c11", "-xc")
        if shutil.which(cxx):
            yield from compiles_alone(header, include, cxx, "-std=c++17", "-xc++", "-Wold-style-cast",
                                      "-Wzero-as-null-pointer-constant")
    for path in files(["core"], ".h"):
        yield from compiles_alone(name(path), [*include, TOP], cc, "-std=c11", "-xc")
    if not shutil.which(cxx):
        raise Skip(f"there is no C++ compiler ({cxx})")


def check_core():
    """core/ and the public headers know no system: neither a conditional nor an #include.

    Public headers leave <stdatomic.h> out, too: C++ has none, and its macros are the user's.
    """
    for path in files(["core"], ".c", ".h") + public_headers():
        text = path.read_text()
        for line, _, condition in conditionals(text):
            for word in re.findall(r"[A-Za-z_]\w+", condition):
                if not COMPILER.fullmatch(word):
                    yield f"{name(path)}:{line}: a conditional on `{word}`"
        for line, kind, header in includes(text):
            if kind == "<" and header not in ISO_C:
                yield f"{name(path)}:{line}: <{header}> is not ISO C"
            elif header == "stdatomic.h" and name(path).startswith("include/"):
                yield f"{name(path)}:{line}: <stdatomic.h> in a public header"
            elif kind == '"' and not re.match(r"core/|aioctx/", header):
                yield f"{name(path)}:{line}: \"{header}\" is neither core's nor public"


def check_systems():
    """posix/ and linux/ ask only whether a constant is absent; system and processor the build knows."""
    for path in files(["posix", "linux", "win32"], ".c", ".h"):
        for line, directive, condition in conditionals(path.read_text()):
            if SYSTEM.search(condition):
                yield f"{name(path)}:{line}: a conditional on the system: `{condition}`"
            elif PROCESSOR.search(condition):
                yield f"{name(path)}:{line}: a conditional on the processor: `{condition}`"
            elif directive in ("if", "elif") and not re.search(r"__\w+", condition):
                yield f"{name(path)}:{line}: only #ifdef or #ifndef of a constant: `{condition}`"


def check_pollers():
    """A poller includes its seam, its own directory's helpers and the system, nothing of core's."""
    allowed = re.compile(r"core/(poller|list|platform|alloc)\.h|aioctx/types\.h")
    for path in files(["posix", "linux", "win32"], ".c"):
        if not path.name.startswith("poller_"):
            continue
        for line, kind, header in includes(path.read_text()):
            own = header.startswith(f"{path.parent.name}/")
            if kind == '"' and not own and not allowed.fullmatch(header):
                yield f"{name(path)}:{line}: a poller has no use for \"{header}\""


def check_platform():
    """The platform seam stays small: under 25 functions."""
    declared = re.findall(r"^\w[\w \*]*?(aio__\w+)\(", code((TOP / "core/platform.h").read_text()), re.M)
    print(f"{len(declared)} functions in core/platform.h")
    if len(declared) >= 25:
        yield f"core/platform.h declares {len(declared)} functions: {' '.join(declared)}"


def check_wait():
    """One place calls the poller's wait, in core/loop.c."""
    calls = []
    for path in files(["core"], ".c"):
        text = code(path.read_text())
        calls += [f"{name(path)}:{line_of(text, m.start())}" for m in re.finditer(r"->wait\(", text)]
    if [call.split(":")[0] for call in calls] not in ([], ["core/loop.c"]):
        yield f"the poller's wait is called elsewhere than once in core/loop.c: {' '.join(calls)}"


def check_quiet():
    """The library neither ends the program nor prints, but for core/error.c after a fatal error."""
    banned = re.compile(r"\b(abort|exit|_exit|_Exit|quick_exit|v?f?printf|v?dprintf|f?puts|putchar|"
                        r"perror|psignal|err|errx|warn|warnx)\s*\(")
    for path in files(LIBRARY, ".c", ".h"):
        text = code(path.read_text())
        for match in banned.finditer(text):
            if not (name(path) == "core/error.c" and match.group(1) in ("abort", "fprintf")):
                yield f"{name(path)}:{line_of(text, match.start())}: {match.group(1)}()"


def check_words():
    """Each errno value that the library's sources name has words in core/error_text.c."""
    known = set(re.findall(r"{(E[A-Z0-9]+),", code((TOP / "core/error_text.c").read_text())))
    known |= {"EWOULDBLOCK", "EOPNOTSUPP"}  # elsewhere other names of values that have theirs
    for path in files(LIBRARY, ".c", ".h"):
        text = code(path.read_text())
        for match in re.finditer(r"(?<=[-(, {=])(E[A-Z0-9]{3,})\b(?! *\()", text):
            if hasattr(errno, match.group(1)) and match.group(1) not in known:
                yield f"{name(path)}:{line_of(text, match.start())}: no words for {match.group(1)}"


def check_workflow():
    """The workflow for public CI has each row of script/test, in the same order."""
    rows = re.findall(r"^row ([a-z0-9]+)", (TOP / "script/test").read_text(), re.M)
    matrix = re.search(r"^ +row: \[(.*)\]$", (TOP / ".github/workflows/ci.yml").read_text(), re.M)
    there = re.split(r" *, *", matrix.group(1)) if matrix else []
    if there != rows:
        yield f"script/test has {' '.join(rows)}; .github/workflows/ci.yml has {' '.join(there)}"


def check_undone():
    """No remark stands for work left undone."""
    for path in files(EVERYTHING, ".c", ".h", ".h.in", ".S", ".cpp") + files(["cmake"], ".cmake", ".in"):
        for number, line in enumerate(path.read_text().split("\n"), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                yield f"{name(path)}:{number}: {line.strip()}"


def check_opening():
    """Each .c opens with a comment about its job; each file names the licence."""
    for path in files(EVERYTHING, ".c", ".h", ".h.in"):
        text = path.read_text()
        if "SPDX-License-Identifier: MIT" not in text:
            yield f"{name(path)}: no SPDX line"
        comment = re.match(r"/\*((?:(?!\*/).)*)\*/", text, re.S)
        said = re.sub(r"SPDX-License-Identifier: MIT|[\s*]", "", comment.group(1)) if comment else ""
        if path.suffix == ".c" and not said and "aio__not_yet_written" not in text:
            yield f"{name(path)}: it does not open with a comment that says its job"


def check_docs():
    """The pages name functions and files that are there."""
    public = set()
    for path in public_headers():
        public |= set(re.findall(r"\baio_\w+(?=\()", path.read_text()))
    for path in sorted(TOP.glob("*.md")) + files(["docs"], ".md"):
        text = path.read_text()
        for match in re.finditer(r"\b(aio_[a-z]\w*)\(", text):
            if match.group(1) not in public:
                yield f"{name(path)}:{line_of(text, match.start())}: no header declares {match.group(1)}"
        for match in re.finditer(r"\]\(([^)#:]+)(#[^)]*)?\)", text):
            if not (path.parent / match.group(1)).exists():
                yield f"{name(path)}:{line_of(text, match.start())}: there is no {match.group(1)}"


def check_format():
    """Everything is as clang-format leaves it."""
    if not shutil.which("clang-format"):
        raise Skip("clang-format is not installed")
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True).stdout
    if not re.search(r"version 14\.", version):
        raise Skip(f"formatted for clang-format 14; this is {version.strip()}")
    sources = [str(path) for path in files(EVERYTHING, ".c", ".h", ".cpp")]
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", *sources], capture_output=True,
                         text=True)
    for line in sorted({line.split(":")[0] for line in run.stderr.split("\n") if " error: " in line}):
        yield f"run clang-format -i {line.replace(f'{TOP}/', '')}"


def report_lengths():
    """Report files over 500 lines, pollers over 300 and functions over 70; nothing fails."""
    for path in files(EVERYTHING, ".c", ".h"):
        text = path.read_text()
        if path.name.startswith("poller_") and text.count("\n") > 300:
            print(f"{name(path)}: {text.count(chr(10))} lines for a poller")
        if text.count("\n") > 500:
            print(f"{name(path)}: {text.count(chr(10))} lines")
        for head, length, called in functions(text):
            if length > 70:
                print(f"{name(path)}:{head}: {called} has {length} lines")
    return ()


def report_atomics():
    """Report atomic operations that are not relaxed and have no comment nearby; nothing fails."""
    for path in files(LIBRARY, ".c", ".h"):
        lines = path.read_text().split("\n")
        for number, line in enumerate(code("\n".join(lines)).split("\n"), 1):
            strong = re.search(r"memory_order_(acquire|release|acq_rel|seq_cst)|"
                               r"\batomic_(load|store|exchange|fetch_(add|sub|or|and|xor)|"
                               r"compare_exchange_(strong|weak))\(", line)
            if strong and not any(re.search(r"/\*|\*/|//", near) for near in lines[max(0, number - 4):number]):
                print(f"{name(path)}:{number}: {line.strip()}")
    return ()


CHECKS = {function.__name__.split("_", 1)[1]: function for function in
          (check_thread, check_names, check_interface, check_headers, check_core, check_systems, check_pollers,
           check_platform, check_wait, check_quiet, check_words, check_workflow, check_undone,
           check_opening, check_docs, check_format, report_lengths, report_atomics)}


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("check", nargs="?", choices=CHECKS)
    ap.add_argument("--list", action="store_true")
    args = ap.parse_args()
    if args.list or not args.check:
        for check, function in CHECKS.items():
            print(f"{check}: {function.__doc__.splitlines()[0]}")
        return 0
    found = 0
    try:
        for finding in CHECKS[args.check]():
            print(finding)
            found += 1
    except Skip as skip:
        print(f"skipped: {skip}")
        return 1 if found else 77
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
