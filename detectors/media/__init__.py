"""Attachments made into bytes: fetched only from where configuration allows, within limits of size and time."""
