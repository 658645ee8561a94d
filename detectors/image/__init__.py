"""Images: what they show, what is written in them, and both together with the event's own text."""
