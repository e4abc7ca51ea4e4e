"""Lines as our API gives them, over any Loki: filters to LogQL, paging by cursor, counts, context."""
