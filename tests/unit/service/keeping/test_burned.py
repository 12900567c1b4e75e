"""A PostgreSQL that was killed skips numbers: nobody is owed rows that there never were."""

from kymograph.service.keeping.gathering import Gatherer
from kymograph.service.keeping.outbox import Outbox
from kymograph.store.sql.database import Database
from tests.unit.service.keeping.folder import Data


def test_a_killed_database_makes_no_rows(tmp_path, postgres, postgres_url):
    data, database = Data(tmp_path / "data"), Database(postgres_url)
    Gatherer(data.path, "edge", database).turn()
    data.compose(0, 5)
    Gatherer(data.path, "edge", database).turn()
    outbox = Outbox(database, "edge", data.path)
    assert outbox.extents()[0].next == 6
    postgres.kill()
    postgres.start()
    database.engine.dispose()
    assert outbox.extents()[0].next == 6
    assert outbox.unshipped("hub", "readings").to_list() == [[1, 5]]
