"""What can be done with a piece of content, and with an account, mildest first: the order of strictness."""

from enum import IntEnum


class Action(IntEnum):
    """Action on content; a larger number is stricter. `name` is what a decision carries."""

    allow = 0
    label = 1  # shown, with a notice
    limit_reach = 2  # shown, not recommended
    age_restrict = 3  # hidden from minors and from those whose age is unknown
    hold = 4  # not shown until decided again; always has a reason, a deadline and a way out
    remove = 5  # taken down


RESTRICTIONS = tuple(action for action in Action if action is not Action.allow)


class AccountAction(IntEnum):
    """Action on an account; a larger number is stricter. `name` is what moderation.account-actions carries."""

    warn = 0  # told what it did
    limit_features = 1  # some of what others can do, the platform says what
    request_age_assurance = 2  # asked to prove its age; restricts nothing by itself
    suspend = 3  # can do nothing
