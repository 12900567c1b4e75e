"""What all tests share: hypothesis without a clock, since a busy machine is no failure; a PostgreSQL."""

from hypothesis import HealthCheck, settings

from tests.postgres import database_url, postgres, postgres_server, postgres_url

__all__ = ["database_url", "postgres", "postgres_server", "postgres_url"]

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
