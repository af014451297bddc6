"""What the style checks need of C source: files, comments, declarations, functions."""
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
LIBRARY = ("core", "posix", "linux", "win32", "compat", "hosts")
EVERYTHING = LIBRARY + ("include", "tests", "bench", "examples")

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def files(directories, *suffixes):
    """The files below the directories, sorted; generated and absent ones are not there."""
    found = []
    for directory in directories:
        for suffix in suffixes:
            found += (TOP / directory).rglob(f"*{suffix}")
    return sorted(found)


def name(path):
    return str(path.relative_to(TOP))


def blank(match):
    """As many lines, nothing in them; a string stays a string."""
    text = match.group(0)
    return '""' if text[0] in "\"'" else " " + "\n" * text.count("\n")


def code(text):
    """The source without comments and the contents of strings; line numbers are kept."""
    return TOKEN.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def conditionals(text):
    """(line number, directive, condition) of each conditional of the preprocessor."""
    text = code(text)
    for match in re.finditer(r"^[ \t]*#[ \t]*(ifdef|ifndef|if|elif)\b(.*(?:\\\n.*)*)", text, re.M):
        yield line_of(text, match.start()), match.group(1), match.group(2).strip()


def includes(text):
    """(line number, '<' or '"', header) of each #include."""
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', text, re.M):
        yield line_of(text, match.start()), match.group(1), match.group(2)


def functions(text):
    """(first line, number of lines, name) of each function body: `{` in the first column to `}`."""
    lines = code(text).split("\n")
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            head = number_of_head(lines, start)
            called = re.search(r"(\w+)\s*\(", " ".join(lines[head - 1:start - 1]))
            yield head, number - head + 1, called.group(1) if called else "?"
            start = None


def number_of_head(lines, brace):
    """Where the declaration starts whose `{` is in line `brace`."""
    head = brace - 1
    while head > 1 and lines[head - 2].strip() and not re.search(r"[;}]\s*$|^#", lines[head - 2]):
        head -= 1
    return head
