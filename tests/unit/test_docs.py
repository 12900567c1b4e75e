"""What the documents say can be followed: links lead somewhere, commands and options exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from kymograph.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
FENCED = re.compile(r"^```[a-z]*\n(.*?)^```", re.M | re.S)


def prose(path):
    return FENCED.sub("", path.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target in LINK.findall(prose(page)):
        if "://" not in target and not target.endswith(".png"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def commands(page):
    for block in FENCED.findall(page.read_text("utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(
                r"(?:^|[\s/])kymograph ((?:[a-z]+)\b.*)$", line.partition(" #")[0].split(" | ")[0]
            )
            if found and not re.match(
                r"(\s*#|CMD|COPY|\$ (sudo|docker compose up|systemctl|journalctl|git))", line
            ):
                yield found[1].removeprefix("kymograph ").split(" > ")[0].split(" && ")[0]


LINES = [(page.name, line) for page in PAGES for line in commands(page)]


def test_the_documents_show_commands():
    assert len(LINES) > 10


@pytest.mark.parametrize(("page", "line"), LINES)
def test_every_command_that_is_shown_exists_with_its_options(page, line):
    words = shlex.split(line)
    node = typer.main.get_command(app)
    while words and words[0] in getattr(node, "commands", {}):
        node = node.commands[words.pop(0)]
    assert not getattr(node, "commands", {}), f"{page}: kymograph {line}"
    known = {option for parameter in node.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("-") and word != "-":
            assert word in known, f"{page}: {word} of kymograph {line}"
