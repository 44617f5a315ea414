"""Where a run stood when nnU-Net wrote a checkpoint: a small file beside it, named by its SHA-256.

nnU-Net's checkpoint format stays as it is. The state is written before the checkpoint takes its
name, so a crash between the two leaves the older pair.
"""

import glob
import hashlib
import json
import os


def file_sha256(path):
    """SHA-256 of a file, hex."""
    whole = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
    return whole.hexdigest()


def keep_state(partial, checkpoint, progress):
    """Gives `partial` the name `checkpoint`, with the progress that belongs to it beside it."""
    state = _path(checkpoint, file_sha256(partial))
    with open(f"{state}.partial", "w", encoding="utf-8") as file:
        json.dump(progress, file)
    os.replace(f"{state}.partial", state)
    os.replace(partial, checkpoint)
    for older in set(glob.glob(_path(glob.escape(checkpoint), "*"))) - {state}:
        os.remove(older)


def state_of(checkpoint):
    """The progress stored with a checkpoint, or None where there is none of exactly this file."""
    try:
        with open(_path(checkpoint, file_sha256(checkpoint)), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def _path(checkpoint, digest):
    return f"{checkpoint.removesuffix('.pth')}.{digest[:16]}.json"


_ARTIFACTS = {
    "final": "checkpoint_final.pth",
    "best": "checkpoint_best.pth",
    "latest": "checkpoint_latest.pth",
    "summary": os.path.join("validation", "summary.json"),
    "plans": os.path.join("..", "plans.json"),
    "dataset": os.path.join("..", "dataset.json"),
}


def artifacts_of(folder, root):
    """What a run leaves in nnU-Net's folder of the fold, paths relative to `root` (CW_OUT).

    Files outside of `root` are nobody's to fetch: none without it.
    """
    if not root:
        return []
    found = [_artifact(name, os.path.join(folder, path), root) for name, path in _ARTIFACTS.items()]
    return [one for one in found if one is not None]


def _artifact(name, path, root):
    inside = os.path.relpath(os.path.abspath(path), os.path.abspath(root))
    if inside.startswith("..") or not os.path.isfile(path):
        return None
    size = os.path.getsize(path)
    return {"name": name, "path": inside, "sha256": file_sha256(path), "bytes": size}
