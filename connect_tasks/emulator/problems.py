"""What the server refuses, with Connect's code and HTTP status and our own words."""

from __future__ import annotations

from typing import Final

MEANINGS: Final[dict[int, tuple[int, str]]] = {
    1: (500, "Something went wrong inside the server."),
    2: (404, "There is no such endpoint, or it does not answer this method."),
    3: (400, "This is not a valid object id."),
    4: (404, "The object does not exist."),
    5: (400, "A content name has 3 to 64 characters, each a letter, a digit, '-', '_' or '.'."),
    12: (400, "A required parameter is missing."),
    13: (400, "A parameter is outside its range."),
    19: (403, "You have no access to this object."),
    20: (403, "You may not remove this object."),
    21: (403, "You may not change this object."),
    22: (403, "Your role does not allow this operation."),
    24: (401, "This endpoint needs an API key."),
    25: (400, "A parameter has a value that is not accepted."),
    26: (409, "The name is taken."),
    28: (404, "There is no bundle to deploy."),
    30: (401, "The API key is not known to this server."),
    34: (400, "The owner of the content cannot be on its permission list."),
    38: (400, "The bundle has no valid manifest.json."),
    39: (400, "This content does not support that."),
    48: (403, "The app mode of this bundle differs from what was deployed before."),
    51: (409, "The vanity path is taken."),
    52: (400, "The vanity path is not permitted."),
    53: (400, "This field cannot be changed."),
    75: (400, "The active bundle cannot be deleted."),
    82: (400, "The bundle belongs to other content."),
    87: (400, "The request body cannot be read."),
    104: (400, "The body does not match the checksum in its header."),
    108: (409, "This name is reserved for the server."),
    109: (403, "This type of content cannot be deployed to this server."),
    117: (400, "The access type is one of all, logged_in, acl."),
    121: (400, "The body is not the JSON that this endpoint expects."),
    122: (400, "A title has 3 to 1024 characters."),
    123: (400, "A description has at most 4096 characters."),
    125: (400, "The body is empty."),
    134: (400, "The bundle cannot be stored."),
    135: (400, "The bundle is not a readable gzip tar archive."),
    141: (404, "There is no such task on this server."),
    142: (409, "The content is already managed by git."),
    143: (409, "The content is not managed by git."),
    144: (409, "The content is managed by git: it takes no uploads."),
    145: (400, "Git support is disabled on this server."),
    146: (400, "A repository is an absolute URL without user, password, query or fragment."),
    149: (409, "An environment variable is named twice."),
    150: (400, "The load factor is outside its range."),
    151: (400, "A timeout is outside its range."),
    152: (400, "The principal type does not fit."),
    153: (404, "There is no such group."),
    154: (409, "This user is already on the permission list."),
    155: (409, "This group is already on the permission list."),
    156: (403, "The new owner may not publish."),
    161: (400, "An include option is not known: use owner, tags, vanity_url."),
    163: (409, "The job is not active."),
    164: (400, "The repository must be reached by http or https."),
}


class Problem(Exception):
    """A refused request.

    `code` is one of MEANINGS, which gives the status; `message` replaces our general words by particular ones.
    """

    def __init__(self, code: int, message: str | None = None, *, status: int | None = None) -> None:
        standard_status, standard_message = MEANINGS[code]
        self.code = code
        self.status = status or standard_status
        self.message = message or standard_message
        super().__init__(self.message)

    def body(self) -> dict[str, object]:
        """The JSON body: both public clients need `code` and `error`."""
        return {"code": self.code, "error": self.message, "payload": None}
