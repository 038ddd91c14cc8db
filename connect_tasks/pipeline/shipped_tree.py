"""What of a candidate reaches the server."""

from __future__ import annotations

from ..configuration import App
from ..content.candidate import Candidate
from ..content.connect_manifest import shipped
from ..repository.tree import MANIFEST
from ..world import World


def shipped_tree(app: App, world: World, candidate: Candidate) -> str:
    """The id of the tree that reaches the server: with a deploy branch only what is filtered into it."""
    if app.deploy_branch is None:
        return candidate.tree_id
    from ..repository.deploy_branch import filtered_tree  # and with it all of pushing: few apps have such a branch

    return filtered_tree(world.git, candidate.tree_id, kept(app, candidate))


def kept(app: App, candidate: Candidate) -> frozenset[str]:
    """The files of a deploy branch: those that the manifest lists, and itself."""
    return frozenset({*shipped(candidate.tree, app.include, app.exclude), MANIFEST})
