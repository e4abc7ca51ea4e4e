"""The database: models, engine, sessions, migrations."""
