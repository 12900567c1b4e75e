"""Where what stations ship arrives: the parts of a hub, on one database and one store of files."""

from __future__ import annotations

import logging

from kymograph.config import Config
from kymograph.model.errors import ConfigError, KymographError
from kymograph.service.hub.fleet import Fleet
from kymograph.service.hub.ingest import Ingest
from kymograph.service.hub.keys import StationKeys
from kymograph.service.hub.ledger import Ledger
from kymograph.service.hub.uploads import FOLDER, Uploads
from kymograph.store.objects import open_store
from kymograph.store.sql import schema
from kymograph.store.sql.database import Database

log = logging.getLogger(__name__)


class Depot:
    """A hub's services. The database may be away when it is made: whoever asks is told."""

    def __init__(self, config: Config, database: Database) -> None:
        """Take the configuration of a station that has `[hub]`.

        Raises:
            ConfigError: there is none, or its store is no address.
        """
        if config.hub is None:
            raise ConfigError("this station is no hub", hint="a table [hub] in the station file makes it one")
        self.database = database
        self.objects = open_store(config.hub.store, config.station.data)
        self.uploads = Uploads(config.station.data / FOLDER, self.objects)
        self.ingest = Ingest(database, self.objects)
        self.ledger = Ledger(database)
        self.fleet = Fleet(database, config.hub)
        self.keys = StationKeys(database)


def open_database(config: Config) -> Database:
    """Return a station's database, with its tables made if it answers.

    Raises:
        ConfigError: it cannot be used as it stands.
    """
    database = Database(config.database_url)
    try:
        schema.upgrade(database)
    except ConfigError:
        raise
    except KymographError as error:
        log.warning("%s", error)
    return database
