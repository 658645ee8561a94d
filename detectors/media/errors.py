"""What is wrong with an attachment."""


class MediaError(Exception):
    """It can't be had or can't be read; the message says why, without the address (it may hold a token)."""
