"""Whether SQLite can keep a file in a directory: by what is mounted there, or by trying.

SQLite needs locks that hold against other machines and writes at any place of a file. Network file
systems promise the one or the other, and some say yes to both and do neither.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["why_not_here"]

#: Kinds of mounts on which SQLite is at home: they are not tried.
_LOCAL = (
    "ext2 ext3 ext4 xfs btrfs zfs tmpfs overlay overlayfs aufs f2fs bcachefs apfs hfs ufs "
    "ramfs rootfs reiserfs jfs ntfs ntfs3 vfat exfat"
)
#: Kinds on which it is not, whatever they say.
_REMOTE = (
    "nfs nfs4 cifs smb smb2 smb3 smbfs afs ceph glusterfs lustre beegfs gpfs orangefs pvfs2 "
    "davfs fuse.sshfs fuse.s3fs fuse.goofys fuse.gcsfuse fuse.rclone fuse.blobfuse "
    "fuse.blobfuse2 fuse.glusterfs fuse.juicefs fuse.cephfs fuse.mount-s3 fuse.dbfs"
)
#: Where Databricks puts its remote storage.
_DATABRICKS = ("/dbfs", "/Volumes", "/Workspace")
_MOUNTS = Path("/proc/self/mountinfo")
_BLOCK = 4096


def why_not_here(directory: Path, *, try_it: bool = True) -> str | None:
    """Return why SQLite cannot keep files in a directory, or None if it can.

    `try_it`: where the kind of mount does not tell, whether files may be made to find out.
    """
    place = _existing(directory)
    kind = _kind_of(place)
    remote = next((p for p in _DATABRICKS if place.is_relative_to(p)), None)
    if remote is not None and kind not in _LOCAL.split():
        return f"{remote} is remote storage"
    if kind in _REMOTE.split():
        return f"it is on a file system of kind {kind}"
    if kind in _LOCAL.split() or not try_it:
        return None
    return _tried(place)


def _existing(directory: Path) -> Path:
    """Return the directory, or the closest above it that is there."""
    found = Path(os.path.realpath(directory))
    while not found.is_dir() and found != found.parent:
        found = found.parent
    return found


def _kind_of(place: Path) -> str:
    """Return the kind of what is mounted at a place; empty where that is not known."""
    with suppress(OSError):
        return mounted_at(place, _MOUNTS.read_text(errors="surrogateescape"))
    return ""


def mounted_at(place: Path, mounts: str) -> str:
    """Return the kind of the mount that a place is on, given ``/proc/self/mountinfo``."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) < 5 or not kinds[0]:  # noqa: PLR2004 - the mount point is the fifth field
            continue
        point = Path(_unescaped(fields[4]))
        if place.is_relative_to(point) and len(point.parts) >= best:  # later ones cover earlier
            best, kind = len(point.parts), kinds[0]
    return kind


def _unescaped(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def _tried(place: Path) -> str | None:
    """Return what SQLite needs and a new file in the directory does not do."""
    try:
        probe = tempfile.TemporaryFile(prefix=".sparktrials.", dir=place)  # noqa: SIM115 - below
    except OSError:
        return None  # whoever opens the file says that better
    try:
        with probe as file:
            if sys.platform != "win32":
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1)
            file.write(b"a" * 2 * _BLOCK)
            file.flush()
            os.fsync(file.fileno())
            file.seek(_BLOCK // 2)
            file.write(b"b")
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            whole = file.read()
            file.truncate(_BLOCK)
    except OSError as error:
        return f"its file system does not do what SQLite needs ({error.strerror or error})"
    half = _BLOCK // 2
    if whole != b"a" * half + b"b" + b"a" * (2 * _BLOCK - half - 1):
        return "its file system does not write at any place of a file"
    return None
