"""The annotated tag of a release: made for the commit that lands, pushed with it, gone when it does not land."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, field
from datetime import date

from ..configuration import App
from ..errors import CommitFailed, ConfigurationInvalid, NameRefused, TagTaken
from .git import Git
from .git_messages import own_words, unreachable

FIELDS = ("app", "target", "date", "number")


@dataclass(frozen=True, kw_only=True)
class ReleaseTag:
    """A tag to come. `made` holds the object that we made for it in this run, where we did."""

    name: str
    message: str
    made: list[str] = field(default_factory=list, compare=False)

    @property
    def ref(self) -> str:
        return f"refs/tags/{self.name}"

    @property
    def refspec(self) -> str:
        return f"{self.ref}:{self.ref}"


def plan_tag(git: Git, app: App, commit: str | None, *, message: str, today: date) -> ReleaseTag | None:
    """The tag that `app.tag` (a template of `FIELDS`) asks for; None when none is wanted.

    `{number}` is the first free one, here and on the remote; a number that names `commit` already is taken again.
    Raises TagTaken where the template leaves no choice and the tag names another commit, ConfigurationInvalid,
    NameRefused.
    """
    if app.tag is None:
        return None
    unknown = {name for _, name, _, _ in string.Formatter().parse(app.tag) if name is not None} - set(FIELDS)
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise ConfigurationInvalid(
            f"tag names {{{min(unknown)}}}; there are {known}", hint='tag = "{app}/{date}-{number}"'
        )
    taken = _tags_there(git, app.remote)
    for number in range(1, len(taken) + 2):
        name = app.tag.format(app=app.name, target=app.target or "", date=today.strftime("%Y.%m.%d"), number=number)
        if not git.ask("check-ref-format", f"refs/tags/{name}").ok or name.startswith("-"):
            raise NameRefused(f"{name!r} can't be the name of a tag", hint='tag = "{app}/{date}-{number}"')
        if name not in taken or taken[name] == commit:
            return ReleaseTag(name=name, message=message)
        if "{number}" not in app.tag:
            raise _taken(name, taken[name], commit)
    raise AssertionError("more numbers than tags, and none free")


def set_tag(git: Git, tag: ReleaseTag, commit: str) -> None:
    """Make the tag name `commit`, signed where tag.gpgSign says so. One that names it already stays; one that we made
    in this run is moved; any other is TagTaken."""
    there = git.resolve(tag.ref)
    if there == commit:
        return
    if there is not None and git.ask("rev-parse", tag.ref).text.strip() not in tag.made:
        raise _taken(tag.name, there, commit)
    done = git.run("tag", "--annotate", "--force", "--file=-", "--", tag.name, commit, input=tag.message.encode())
    if done.ok:
        tag.made.append(git.line(git.ask("rev-parse", tag.ref)))
    unsigned = git.flag("tag.gpgSign") and b"\n-----BEGIN " not in git.ask("cat-file", "tag", tag.ref).stdout
    if not done.ok or unsigned:  # git 2.39 makes a plain tag, and no error, when its ssh signer fails
        drop_tag(git, tag)
        raise CommitFailed(
            f"the tag {tag.name} could not be made: {own_words(done.error_text)}",
            hint=f"git config --get user.signingkey && git tag -a -m test test-{tag.name}",
        )


def drop_tag(git: Git, tag: ReleaseTag) -> None:
    """Take back a tag that we made in this run; any other stays."""
    if tag.made:
        git.run("update-ref", "-d", tag.ref, tag.made[-1])


def _tags_there(git: Git, remote: str) -> dict[str, str]:
    """Tag name -> commit, here and on the remote."""
    found = git.run_remote("ls-remote", "--quiet", "--tags", "--", remote)
    if not found.ok:
        raise unreachable(remote, found)
    here = git.ask("show-ref", "--tags", "--dereference")  # status 1: there are none
    lines = [*found.text.replace("\t", " ").splitlines(), *here.text.splitlines()]
    tags: dict[str, str] = {}
    for line in sorted(
        lines, key=lambda line: line.endswith("^{}")
    ):  # the commit behind an annotated tag has the last word
        oid, ref = line.split(" ", 1)
        tags[re.sub(r"\^\{\}$", "", ref).removeprefix("refs/tags/")] = oid
    return tags


def _taken(name: str, there: str, commit: str | None) -> TagTaken:
    return TagTaken(
        f"the tag {name} names {there[:10]}, not {commit[:10] if commit else 'the commit to come'}",
        hint='tag = "{app}/{date}-{number}", or delete the tag',
    )
