"""MLflow stores: their addresses, what is wrong with one, and where a copied one keeps its artifacts."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from dgmbench.errors import TrackingError

# Modules whose package has another name.
_PACKAGES = {"psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}


def store_errors() -> tuple[type[Exception], ...]:
    """What a store that fails raises: MLflow's own errors, the database's, its driver's, the system's."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return (TrackingError, MlflowException, SQLAlchemyError, CommandError, ImportError, OSError)


def check_store(uri: str) -> None:
    """Refuse at once what MLflow would try for minutes, or refuse in words about something else.

    Raises:
        TrackingError: if `uri` is an address without its kind, or a SQLite file that cannot be read.
    """
    if re.fullmatch(r"[\w.-]+:\d+(/.*)?", uri):
        raise TrackingError(f"this is no address of a store; did you mean http://{uri} (or https)")
    database = sqlite_file(uri)
    if database is not None and database.parent.is_dir():
        try:
            with closing(sqlite3.connect(database)) as store:
                store.execute("select count(*) from sqlite_master").fetchone()
        except sqlite3.Error as error:
            raise TrackingError(explained(uri, error)) from error


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store; None for any other."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]) if uri.startswith("sqlite:///") else None


def explained(uri: str, error: Exception) -> str:
    """What is wrong with a store and what to do, without passwords."""
    lines = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
    gist = re.sub(r"//[^/@\s]+@", "//***@", lines[0])
    return gist + _advice(uri, error, gist)


def _advice(uri: str, error: Exception, gist: str) -> str:
    anew = "" if sqlite_file(uri) is None else f"move {sqlite_file(uri)} away, and its runs are made anew"
    if isinstance(error, ImportError) and error.name:
        package = _PACKAGES.get(error.name, error.name)
        return f"; the store's database needs a driver here: `pip install {package}`"
    if revision := re.search(r"found version (\w+)|identified by '(\w+)'", gist):
        return _other_version(uri, revision[1] or revision[2], anew)
    if re.search("not a database|malformed", gist):
        return f"; it is damaged: {anew or 'bring back its last backup'}"
    if "unable to open" in gist:
        return "; it must be a file that this user may write, in such a folder"
    if re.search("unsupported URI|filesystem tracking backend", gist):
        return " An address begins with http:// (a server) or sqlite:/// (a file), for two."
    if "locked" in gist:
        return "; another program is writing to it: wait for it, or end it"
    return ""


def _other_version(uri: str, revision: str, anew: str) -> str:
    """Older or newer: by whether this MLflow knows the revision of the store's tables."""
    import mlflow
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError
    from mlflow.store.db.utils import _get_alembic_config

    anew = f", or {anew}" if anew else ""
    try:
        ScriptDirectory.from_config(_get_alembic_config(db_url="")).get_revision(revision)
    except CommandError:
        return f"; a newer MLflow than the {mlflow.__version__} here has made it: install the newer one{anew}"
    command = f"mlflow db upgrade {without_password(uri)}"
    return f"; an older MLflow has made it: copy it, then run `{command}`{anew}"


def without_password(uri: str) -> str:
    """A URI that can be printed: user and password taken out."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]))


def artifacts_of(uri: str, experiment: str) -> str | None:
    """``mlartifacts/`` beside a SQLite file, as a URI; a server decides for itself."""
    database = sqlite_file(uri)
    if database is None:
        return None
    return (database.resolve().parent / "mlartifacts" / experiment).as_uri()


def artifacts_follow(uri: str, experiment: str, location: str) -> bool:
    """Have a SQLite store that was copied or moved keep an experiment's artifacts beside it again.

    MLflow writes absolute paths into the store and has no call that changes them; so without this, runs of
    a copy write into the folder that it was copied from. Only a `location` that `artifacts_of` gave
    elsewhere is changed, for the experiment, its runs and its logged models; returns whether it was.
    """
    database, wanted = sqlite_file(uri), artifacts_of(uri, experiment)
    ours = location.startswith("file:") and location.endswith(f"/mlartifacts/{experiment}")
    if database is None or wanted is None or location == wanted or not ours:
        return False
    with closing(sqlite3.connect(database)) as store, store:
        store.execute(
            "update experiments set artifact_location = ? where artifact_location = ?", (wanted, location)
        )
        folder = f"{location}/"
        for table, column in (("runs", "artifact_uri"), ("logged_models", "artifact_location")):
            store.execute(
                f"update {table} set {column} = ? || substr({column}, ?) where instr({column}, ?) = 1",
                (wanted, len(folder), folder),
            )
    return True
