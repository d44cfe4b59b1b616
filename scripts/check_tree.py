"""Checks what no linter does: dead links in the documents, and files that grew too long.

Exits 1 and names each finding as `file:line: what`. Must never use the network: links to
other sites are not looked at.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 400
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")


def tracked(*patterns: str) -> list[Path]:
    """The files of the work tree that git tracks or would track, by pattern."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"]
    listing = subprocess.run([*command, *patterns], cwd=ROOT, check=True, capture_output=True)
    names = listing.stdout.decode().split("\0")
    return sorted(path for name in names if name and (path := ROOT / name).is_file())


def prose(text: str) -> Iterator[tuple[int, str]]:
    """The numbered lines of a Markdown text outside its code blocks."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchors(path: Path) -> set[str]:
    """The names that headings of a Markdown file get on GitHub."""
    found: set[str] = set()
    for _, line in prose(path.read_text(encoding="utf-8")):
        if match := HEADING.match(line):
            words = re.sub(r"[^\w\- ]", "", match.group(1).lower())
            found.add(words.replace(" ", "-"))
    return found


def dead_links(path: Path) -> Iterator[str]:
    """One line for each relative link of a Markdown file that leads nowhere."""
    for number, line in prose(path.read_text(encoding="utf-8")):
        for target in LINK.findall(re.sub(r"`[^`]*`", "", line)):
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            name, _, anchor = target.partition("#")
            other = (path.parent / name).resolve() if name else path
            place = f"{path.relative_to(ROOT)}:{number}"
            if not other.exists():
                yield f"{place}: dead link {target}"
            elif anchor and other.suffix == ".md" and anchor not in anchors(other):
                yield f"{place}: no such heading {target}"


def too_long(path: Path) -> Iterator[str]:
    """A line for a source file beyond the limit of STYLE: nobody reads it at one go."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if lines > MAX_LINES:
        yield f"{path.relative_to(ROOT)}:{MAX_LINES}: {lines} lines, at most {MAX_LINES}"


def main() -> int:
    findings = [line for path in tracked("*.md") for line in dead_links(path)]
    findings += [line for path in tracked("*.py") for line in too_long(path)]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
