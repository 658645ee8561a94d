"""The command that brings a missing program, for the package manager this machine has."""

import shutil

_COMMANDS: dict[str, dict[str, str]] = {
    "apt-get": {
        "python": "sudo apt-get install -y python3.11 python3.11-venv",
        "java": "sudo apt-get install -y openjdk-17-jre-headless",
        "maven": "sudo apt-get install -y maven",
        "docker": "sudo apt-get install -y docker.io && sudo systemctl start docker",
    },
    "dnf": {
        "python": "sudo dnf install -y python3.11",
        "java": "sudo dnf install -y java-21-openjdk-headless",
        "maven": "sudo dnf install -y maven",
        "docker": "sudo dnf install -y moby-engine && sudo systemctl start docker",
    },
    "brew": {
        "python": "brew install python@3.11",
        "java": "brew install openjdk@17 && export JAVA_HOME=$(brew --prefix openjdk@17)",
        "maven": "brew install maven",
        "docker": "brew install --cask docker && open -a Docker",
    },
}
_PAGES = {
    "python": "install Python 3.11 or newer from https://www.python.org/downloads/",
    "java": "install Java 17 or newer from https://adoptium.net",
    "maven": "install Maven from https://maven.apache.org/download.cgi",
    "docker": "install Docker from https://docs.docker.com/get-docker/",
}


def package_manager() -> str | None:
    """The first of apt-get (Debian, Ubuntu), dnf (Fedora) and brew (macOS) that is on the PATH."""
    return next((name for name in _COMMANDS if shutil.which(name)), None)


def how_to_get(program: str) -> str:
    """The command that installs `program` ("python", "java", "maven" or "docker"), or where to read about it."""
    manager = package_manager()
    return _COMMANDS[manager][program] if manager else _PAGES[program]
