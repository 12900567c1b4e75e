"""The set-up script, where it can be tried without a network: what it refuses, and what it finds missing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def program(folder, name, text):
    path = folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


@pytest.fixture
def place(tmp_path):
    """A copy of what the script reads, and a PATH on which only chosen programs are."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    for name in ("pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name in ("sh", "dirname", "cat", "cksum", "sed", "grep", "rm", "touch", "cut", "env"):
        (bin_folder / name).symlink_to(shutil.which(name))
    return tmp_path


def run(place, *arguments):
    environment = {"PATH": str(place / "bin"), "HOME": str(place)}
    return subprocess.run(
        [place / "tools/setup.sh", *arguments], capture_output=True, text=True, env=environment,
        stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip


def test_an_unknown_word_is_refused(place):
    done = run(place, "everything")
    assert done.returncode == 1
    assert "'everything'" in done.stderr


def test_without_python_it_says_what_to_install(place):
    program(place / "bin", "python3", "exit 1\n")
    done = run(place)
    assert done.returncode == 1
    assert "Python 3.11" in done.stderr
    assert "apt-get install python3" in done.stderr


def test_without_root_it_names_the_packages_and_the_command(place):
    program(place / "bin", "dpkg-query", "exit 1\n")
    program(place / "bin", "apt-get", "echo called >>apt.log\n")
    program(place / "bin", "id", "echo 1000\n")
    done = run(place, "tests")
    assert done.returncode == 1
    assert "chromium" in done.stderr
    assert "apt-get install" in done.stderr
    assert not (place / "apt.log").exists()


def test_as_root_it_installs_what_is_missing_and_only_that(place):
    program(
        place / "bin",
        "dpkg-query",
        'case "$*" in *strace*) exit 1 ;; *) echo "install ok installed" ;; esac\n',
    )
    program(place / "bin", "apt-get", 'echo "$@" >>apt.log\n')
    program(place / "bin", "id", "echo 0\n")
    done = run(place, "tests")
    assert done.returncode == 0, done.stderr
    update, install = (place / "apt.log").read_text().splitlines()
    assert update.startswith("update")
    assert install.endswith("--no-install-recommends strace")


def test_with_sudo_it_installs_through_it(place):
    program(place / "bin", "dpkg-query", "exit 1\n")
    program(place / "bin", "apt-get", 'echo "$SUDO $*" >>apt.log\n')
    program(place / "bin", "id", "echo 1000\n")
    program(place / "bin", "sudo", '[ "$1" != -n ] || shift\nSUDO=yes exec env SUDO=yes "$@"\n')
    (place / "bin/true").symlink_to(shutil.which("true"))
    done = run(place, "tests")
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("yes ") for line in (place / "apt.log").read_text().splitlines())


def test_where_nothing_is_missing_nothing_is_called(place):
    program(place / "bin", "dpkg-query", 'echo "install ok installed"\n')
    program(place / "bin", "apt-get", "echo called >>apt.log\n")
    assert run(place, "tests").returncode == 0
    assert not (place / "apt.log").exists()


def test_elsewhere_than_on_debian_the_tests_run_with_what_there_is(place):
    done = run(place, "tests")
    assert done.returncode == 0
    assert "warning" in done.stderr


@pytest.mark.parametrize(
    "path", [*ROOT.glob("requirements*.lock"), *ROOT.glob("tools/pins/*.lock")], ids=lambda path: path.name
)
def test_lock_files_have_hashes_and_no_addresses(path):
    text = path.read_text()
    assert "://" not in text
    pinned = re.split(r"\n(?=\S)", text.strip())
    assert pinned
    for entry in pinned:
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry[:60]
        assert "--hash=sha256:" in entry, entry[:60]


def test_the_scripts_can_be_run():
    for name in ("tools/setup.sh", ".ci/run"):
        assert os.access(ROOT / name, os.X_OK), name
