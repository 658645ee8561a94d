"""The front door: command line, configuration, wiring. Knows everyone, holds no logic, and nothing imports it."""
