"""The image: what it copies is there and is let through, and what runs in it is not root."""

import re
import shlex
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[3]


def instructions():
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def stage(name):
    """Return the instructions of a stage, its FROM first."""
    found = instructions()
    starts = [i for i, (word, _) in enumerate(found) if word == "FROM"] + [len(found)]
    for start, stop in pairwise(starts):
        if found[start][1].endswith(f" AS {name}"):
            return found[start:stop]
    raise AssertionError(name)


def let_through(path):
    allowed = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        negated, pattern = line.startswith("!"), line.removeprefix("!")
        if fnmatch(path, pattern) or path == pattern or path.startswith(pattern + "/"):
            allowed = negated
    return allowed


def test_what_is_copied_is_there_and_let_through():
    copied = [
        source.rstrip("/")
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in shlex.split(rest)[:-1]
    ]
    assert "src" in copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert let_through(source), source
    assert not let_through("demo-data")
    assert not let_through(".git")


def test_the_demo_that_a_link_points_to_is_copied_with_the_source():
    assert (ROOT / "stations/demo.toml").resolve().is_relative_to(ROOT / "src")


def test_it_runs_as_a_user_of_its_own_with_the_serial_group():
    steps = stage("station")
    assert ("USER", "kymograph") in steps
    made = next(rest for word, rest in steps if word == "RUN" and "useradd" in rest)
    assert "--groups dialout" in made
    after = [word for word, _ in steps[steps.index(("USER", "kymograph")) :]]
    assert "RUN" not in after
    assert "COPY" not in after


def test_it_is_told_to_end_as_the_program_expects_and_says_how_it_is():
    words = dict(stage("station"))
    assert words["STOPSIGNAL"] == "SIGTERM"
    assert words["VOLUME"] == "/data"
    assert "/healthz" in words["HEALTHCHECK"]
    assert words["ENTRYPOINT"] == '["kymograph"]'


def test_without_a_target_it_is_the_station():
    assert instructions()[-1] == ("FROM", "station")


def test_packages_come_from_the_lock_file_by_hash():
    installs = [rest for word, rest in instructions() if word == "RUN" and "requirements.lock" in rest]
    assert len(installs) == 1
    assert "--require-hashes" in installs[0]


def test_compose_waits_longer_than_sealing_takes():
    from kymograph.model.limits import SHUTDOWN_S_MAX

    text = (ROOT / "compose.yaml").read_text()
    grace = re.search(r"stop_grace_period: (\d+)s", text)
    assert grace
    assert float(grace[1]) > SHUTDOWN_S_MAX
    assert "no-new-privileges:true" in text
