"""Pictures as files, for where they cannot be shown: the terminal."""

from pathlib import Path

from bot.pictures import Picture
from bot.settings import Settings
from knowledge.errors import BadInput

# The folder is nobody's archive: a picture is drawn again in a second.
KEPT = 50


def picture_folder(settings: Settings) -> Path:
    return settings.home / "pictures"


def save(picture: Picture, folder: Path) -> Path:
    """Where the picture was put; one of the same name is replaced, the oldest ones go.

    Raises BadInput when the folder cannot be written.
    """
    path = folder / picture.filename
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.png)
        oldest_first = sorted(folder.glob("timeline-*.png"), key=lambda file: file.stat().st_mtime)
        for old in oldest_first[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(
            f"The picture cannot be saved in {folder}: {error.strerror}.",
            "Set ASK_MARVIN_HOME to a folder that can be written.",
        ) from None
    return path
