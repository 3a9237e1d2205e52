"""Turns the name of published weights into a local folder of verified files.

The download, its resumption and the cache are the Hugging Face client's own, so its variables (`HF_ENDPOINT`,
`HF_HOME`, `HF_HUB_OFFLINE`, `HF_TOKEN`) mean here what they mean everywhere. Ours are the names, the hashes,
the licence and the errors. The client is imported inside functions: it reads its variables when imported.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segformer_cli.errors import EnvironmentLacksError, SegFormerError, WeightsError
from segformer_cli.model.named_weights import CONFIG, NAMED_WEIGHTS, PREPROCESSOR, NamedWeights, find, guess
from segformer_cli.places import sha256_of
from segformer_cli.progress import Progress, ProgressListener, ignore_progress

_SHA256 = re.compile(r"[0-9a-f]{64}")
_HUB_TIMEOUT_S = 10
_DISK_PROBLEMS = {
    errno.ENOSPC: "no room on the disk",
    errno.EDQUOT: "no room in the quota",
    errno.EACCES: "no right to write into the cache",
    errno.EPERM: "no right to write into the cache",
    errno.EROFS: "the cache is read-only: no place",
}


@dataclass(frozen=True)
class KnownWeights:
    """One row of `segformer weights list`."""

    name: str
    repo: str
    variant: str
    task: str
    licence: str
    cached: bool


def known_names() -> list[KnownWeights]:
    """Every short name with what it stands for, and whether its files are on this machine."""
    return [
        KnownWeights(row.name, row.repo, row.variant or "", row.task or "", row.licence, is_cached(row.name))
        for row in NAMED_WEIGHTS.values()
    ]


def is_cached(name: str) -> bool:
    """Whether `fetch(name, offline=True)` would find the files in the hub's cache.

    Raises:
        WeightsError: there are no weights of that name.
    """
    weights = find(name)
    _settle_client()
    return _cached_file(weights) is not None


def fetch(name: str, *, offline: bool = False, progress: ProgressListener = ignore_progress) -> Path:
    """A folder with config.json, preprocessor_config.json where there is one, and the file of weights.

    A short name that is in the cache costs no request, for what it names does not change. `owner/name` is
    looked up each time, and served from the cache when the hub is out of reach. The file is hashed once and
    compared with the hub's hash of it and with ours; its path, size and time then stand for it.

    Args:
        name: a short name (`b0-ade20k`) or `owner/name`.
        progress: hears of stage "download NAME" in bytes.

    Raises:
        WeightsError: no such weights, no access to them, or the file is not the published one (and removed).
        EnvironmentLacksError: they are not in the cache, and the network or room on the disk is missing.
    """
    weights = find(name)
    _settle_client()
    from huggingface_hub import constants

    cached = _cached_file(weights)
    offline = offline or constants.HF_HUB_OFFLINE
    if cached is not None and (offline or weights.name in NAMED_WEIGHTS):
        return _verified(cached, weights, _hash_in_cache(cached))
    if offline:
        raise EnvironmentLacksError(
            f"the weights {weights.name} are not on this machine, and the network is switched off",
            where=f"looked for {weights.repo} in {constants.HF_HUB_CACHE}",
            hint=_offline_hint(weights.name),
        )
    try:
        with _quiet_client(), _explained(weights):
            file, hub_hash = _download(weights, progress)
    except EnvironmentLacksError:
        if cached is None:
            raise
        file, hub_hash = cached, _hash_in_cache(cached)
    return _verified(file, weights, hub_hash)


def _settle_client() -> None:
    """Sets what the client reads once, when it is imported.

    Xet, the hub's other way to send a file, is left out unless asked for (`HF_HUB_DISABLE_XET=0`): it needs
    more hosts than the endpoint, which mirrors and firewalls lack, and files of up to 350 MB gain little.
    """
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")


def _cached_file(weights: NamedWeights) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    def cached(file: str) -> str | None:
        found = try_to_load_from_cache(weights.repo, file, revision=weights.revision)
        return found if isinstance(found, str) else None

    with _explained(weights):
        if cached(CONFIG) is None:
            return None
        found = next(filter(None, map(cached, weights.files)), None)
    return Path(found) if found else None


def _download(weights: NamedWeights, progress: ProgressListener) -> tuple[Path, str | None]:
    """The file of weights in the cache, with its companions beside it, and the hub's hash of it."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import RemoteEntryNotFoundError

    repo, silent = weights.repo, _bar_class("", ignore_progress)
    # Asked first because this fails at once where hf_hub_download tries for half a minute.
    get_hf_file_metadata(hf_hub_url(repo, CONFIG, revision=weights.revision), timeout=_HUB_TIMEOUT_S)
    config = Path(hf_hub_download(repo, CONFIG, revision=weights.revision, tqdm_class=silent))
    commit = config.parent.name  # so that all files are of one commit
    with suppress(RemoteEntryNotFoundError):
        hf_hub_download(repo, PREPROCESSOR, revision=commit, tqdm_class=silent)
    for name in weights.files:
        try:
            there = get_hf_file_metadata(hf_hub_url(repo, name, revision=commit), timeout=_HUB_TIMEOUT_S)
        except RemoteEntryNotFoundError:
            continue
        if not (config.parent / name).exists():
            _need_room(weights, there.size or 0)
        bar = _bar_class(f"download {weights.name}", progress)
        return Path(hf_hub_download(repo, name, revision=commit, tqdm_class=bar)), there.etag
    raise WeightsError(
        f"{repo} holds no file of weights that can be read here",
        where=f"looked for {' or '.join(weights.files)}",
    )


def _need_room(weights: NamedWeights, size: int) -> None:
    from huggingface_hub import constants

    free = shutil.disk_usage(constants.HF_HUB_CACHE).free
    if free < size:
        raise EnvironmentLacksError(
            f"no room on the disk for {weights.name}: {size / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free",
            where=constants.HF_HUB_CACHE,
            hint="free some room, or name another place with HF_HOME",
        )


class _ForwardingBar:
    """What the client takes for a tqdm bar; it draws nothing and tells a listener."""

    stage: str
    listener: ProgressListener

    def __init__(self, *, total: int | None = None, initial: int = 0, **_looks: Any) -> None:
        self.n, self.total = initial, total
        self.format_dict: dict[str, Any] = {}
        self._tell()

    def update(self, n: int = 1) -> None:
        self.n += n
        self._tell()

    def _tell(self) -> None:
        self.listener(Progress(self.stage, self.n, self.total, unit="B"))

    def update_transfer(self, n: int) -> None:
        """Bytes on the wire, which Xet counts beside those of the file."""

    def set_postfix_str(self, text: str, refresh: bool = True) -> None: ...

    set_transfer_postfix_str = set_postfix_str

    def refresh(self) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> _ForwardingBar:
        return self

    def __exit__(self, *_error: object) -> None: ...


def _bar_class(stage: str, listener: ProgressListener) -> Any:
    return type("_ForwardingBar", (_ForwardingBar,), {"stage": stage, "listener": staticmethod(listener)})


def _hash_in_cache(file: Path) -> str | None:
    """The hub's hash of a cached file, which names what its link leads to; None in a cache without links."""
    return Path(os.readlink(file)).name if file.is_symlink() else None


def _verified(file: Path, weights: NamedWeights, hub_hash: str | None) -> Path:
    """The folder of `file`, once the file's hash is what the hub and our table say."""
    promised = {}
    if hub_hash is not None and _SHA256.fullmatch(hub_hash):
        promised["the hub"] = hub_hash
    if weights.sha256 is not None and file.name == weights.files[0]:
        promised["the table of this package"] = weights.sha256
    if not promised:
        return file.parent
    stat = file.stat()
    seal = " ".join([str(stat.st_size), str(stat.st_mtime_ns), *promised.values()])
    with suppress(OSError):
        if _seal_of(file).read_text(encoding="ascii") == seal:
            return file.parent
    actual = sha256_of(file)
    for source, expected in promised.items():
        if actual != expected:
            _remove(file)
            raise WeightsError(
                f"the file of {weights.name} is damaged or not the published one; it was removed",
                where=f"{file}: sha256 {actual}, but {source} says {expected}",
                hint="run the command again; if this comes back, a proxy or a mirror changes the file",
            )
    with suppress(OSError):  # a cache that cannot be written to: the file is hashed again next time
        _seal_of(file).write_text(seal, encoding="ascii")
    return file.parent


def _seal_of(file: Path) -> Path:
    from huggingface_hub import cached_assets_path

    return cached_assets_path("segformer_cli", "verified") / hashlib.sha256(str(file).encode()).hexdigest()


def _remove(file: Path) -> None:
    """Takes a file out of the hub's cache: its link, what the link names, and what lies there."""
    targets = [file, file.resolve()]
    if file.is_symlink():
        targets.insert(1, file.parent / os.readlink(file))
    for target in targets:
        with suppress(FileNotFoundError):
            target.unlink()


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Keeps the client's warnings off stderr, unless its user asked for more of them."""
    import huggingface_hub  # noqa: F401  (sets its logger up when imported)

    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _explained(weights: NamedWeights) -> Iterator[None]:
    """Turns what the client raises into our errors; what it does not know stays a bug."""
    try:
        yield
    except SegFormerError:
        raise
    except Exception as error:
        explained = _refusal(error, weights) or _lack(error, weights)
        if explained is None:
            raise
        raise explained from error


def _refusal(error: Exception, weights: NamedWeights) -> WeightsError | None:
    """The hub was reached and says no."""
    from huggingface_hub import constants, errors

    where = f"asked {constants.ENDPOINT} for {weights.repo}, revision {weights.revision}"
    if isinstance(error, errors.GatedRepoError):
        hint = "accept the terms on its page, then set HF_TOKEN or run `hf auth login`"
        return WeightsError(f"{weights.repo} is gated: its owner asks for consent first", where=where, hint=hint)
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return WeightsError(f"{weights.repo} has no {CONFIG}: it is not a folder of weights", where=where)
    if isinstance(error, errors.RevisionNotFoundError):
        return WeightsError(f"{weights.repo} has no revision {weights.revision}", where=where)
    if isinstance(error, errors.HFValidationError):
        return WeightsError(f"{weights.repo!r} is not a name that the hub allows", hint=guess(weights.name))
    if isinstance(error, errors.HfHubHTTPError) and error.response.status_code in (401, 403, 404):
        hint = f"{guess(weights.name)} (a private one needs HF_TOKEN)"
        return WeightsError(f"the hub has no {weights.repo}, or it is private", where=where, hint=hint)
    return None


def _lack(error: Exception, weights: NamedWeights) -> EnvironmentLacksError | None:
    """This machine has no way to the hub, or no place for the file."""
    from huggingface_hub import constants, errors

    no_answer = (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, errors.FileMetadataError)
    # By name, for the client changed its HTTP library (httpx, then httpx2) and hands its errors on.
    broken = any(base.__name__ == "TransportError" for base in type(error).__mro__)
    if broken or isinstance(error, no_answer) or "Consistency check failed" in str(error):
        reason = str(error).strip().splitlines() or [type(error).__name__]
        return EnvironmentLacksError(
            f"cannot download {weights.name}: {reason[0]}",
            where=f"asked {constants.ENDPOINT} for {weights.repo}",
            hint=_offline_hint(weights.name),
        )
    problem = _DISK_PROBLEMS.get(error.errno or 0) if isinstance(error, OSError) else None
    if problem is None:
        return None
    message, where = f"{problem} for {weights.name}", constants.HF_HUB_CACHE
    return EnvironmentLacksError(message, where=where, hint="HF_HOME names another place for the cache")


def _offline_hint(name: str) -> str:
    return f"`-w sample` works offline; `segformer weights download {name}` keeps them here for later"
