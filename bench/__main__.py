"""Runs ingest and the ten questions against one store, and prints each figure beside its goal."""

import argparse
import asyncio
import os

from bench import corpus as corpora
from bench import ingest, queries, whole


async def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    options.add_argument("--lines", type=int, default=1_000_000)
    options.add_argument("--protobuf", action="store_true", help="push snappy protobuf instead of JSON")
    options.add_argument("--ingest-only", action="store_true")
    given = options.parse_args()
    corpus = corpora.make(given.lines, protobuf=given.protobuf)
    print(f"{os.cpu_count()} cores;", *corpora.sizes(corpus), flush=True)
    print(*await whole.measure(), sep="\n", flush=True)
    async with ingest.running_store() as store:
        print(*ingest.report(await ingest.ingest(store, corpus)), sep="\n", flush=True)
        if given.ingest_only:
            return
        async with store.session() as session:
            for question in queries.questions(corpus.present_id):
                try:
                    figure = await queries.ask(
                        session, "http://store", question, start_ns=corpus.start_ns, end_ns=corpus.end_ns
                    )
                except ValueError as error:
                    print(f"{question.name:<36} failed: {error}", flush=True)
                    continue
                print(f"{question.name:<36}{figure.median_ms:>8.1f} ms (worst {figure.worst_ms:.1f})   "
                      f"goal < {question.goal_ms:g}   {figure.answer}", flush=True)  # fmt: skip
        print(f"memory after the questions {store.memory()[0] / 1e6:.0f} MB, at most {store.memory()[1] / 1e6:.0f} MB")


asyncio.run(main())
