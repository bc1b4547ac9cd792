"""Compares what was sent with the table: counts, types, partitions, by DuckDB."""

import sys

import duckdb

sent, table = sys.argv[1:]
db = duckdb.connect()
db.sql(f"create view sent as from read_json('{sent}', format='newline_delimited')")
db.sql(
    "create view wanted as select * from sent where event_name <> 'app:heartbeat' "
    "qualify row_number() over (partition by event_uuid) = 1"
)
files = f"{table}/**/*.parquet"
db.sql(f"create view lake as from read_parquet('{files}', hive_partitioning=true)")


def same(what, query):
    wanted = db.sql(query.format("wanted")).fetchall()
    found = db.sql(query.format("lake")).fetchall()
    if wanted != found:
        sys.exit(f"{what}: {wanted[:5]} are wanted, {found[:5]} are there")
    print(f"ok {what}: {len(found)} rows, e.g. {found[0]}")


same("count and keys", "select count(*), count(distinct event_uuid) from {}")
same(
    "by language",
    "select event_specifics.language_id, count(*) from {} group by 1 order by 1",
)
same(
    "by type, with sums of numbers that stand deep",
    "select event_name, count(*), sum(user_id), sum(event_specifics.score), "
    "sum(event_specifics.points) from {} group by 1 order by 1",
)

types = {row[0]: row[1] for row in db.sql("describe lake").fetchall()}
for column, wanted in {
    "event_uuid": "VARCHAR",
    "event_type": "VARCHAR",
    "user_id": "BIGINT",
    "_onceflow_event_time": "TIMESTAMP WITH TIME ZONE",
}.items():
    if types.get(column) != wanted:
        sys.exit(f"column {column} is {types.get(column)}, not {wanted}")
if not types["event_specifics"].startswith("STRUCT(") or not types["app"].startswith("STRUCT("):
    sys.exit(f"nested objects aren't nested: {types}")
print(f"ok types: {len(types)} columns")

wrong = db.sql(
    "select count(*) from lake where language_id <> event_specifics.language_id "
    "or year::int <> year(created_at::timestamptz at time zone 'UTC') "
    "or month::int <> month(created_at::timestamptz at time zone 'UTC') "
    "or day::int <> day(created_at::timestamptz at time zone 'UTC')"
).fetchall()[0][0]
if wrong:
    sys.exit(f"{wrong} rows lie in a partition that isn't theirs")
partitions = db.sql("select count(distinct (year, month, day, language_id)) from lake").fetchall()[0]
print(f"ok partitions: {partitions[0]}")

unordered = db.sql(
    f"select count(*) from (select _onceflow_event_time < lag(_onceflow_event_time) over "
    f"(partition by filename order by file_row_number) as back "
    f"from read_parquet('{files}', filename=true, file_row_number=true)) where back"
).fetchall()[0][0]
if unordered:
    sys.exit(f"{unordered} rows aren't in the order of their time")
print("ok order: rows of each file stand in the order of their time")
