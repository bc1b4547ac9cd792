"""Reads a table with DuckDB, Polars and pyarrow; prints what each of them sees, as JSON."""

import json
import sys

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

table, key, lang = sys.argv[1:4]
pattern = f"{table}/**/*.parquet"


def text(value):
    return None if value is None else str(value)


def with_duckdb():
    source = f"read_parquet('{pattern}', hive_partitioning=true, union_by_name=true, hive_types_autocast=false)"
    con = duckdb.connect()
    con.execute("set timezone='UTC'")
    columns = {row[0]: row[1] for row in con.execute(f"describe select * from {source}").fetchall()}
    groups = con.execute(
        f'select year, month, day, "{key}", count(*), sum(id)::bigint from {source} group by all'
    ).fetchall()
    rows = con.execute(
        f"select id, \"at\", specifics.lang, {lang}, tags, nested.deep.x, score, flag, year_field, "
        f"_rescued, hex(_onceflow_key), epoch_ms(_onceflow_recorded_time), epoch_us(_onceflow_event_time) "
        f"from {source} order by id"
    ).fetchall()
    # As somebody would who knows nothing of all this.
    plain = con.execute(f"select count(*), sum(id)::bigint from '{pattern}'").fetchone()
    auto = con.execute(
        f"select count(*), sum(id)::bigint from read_parquet('{pattern}', hive_partitioning=true, union_by_name=true)"
    ).fetchone()
    assert plain == auto, (plain, auto)
    return columns, groups, rows


def with_polars():
    schema = {"year": pl.String, "month": pl.String, "day": pl.String, key: pl.String}
    newest = sorted(__import__("glob").glob(pattern, recursive=True), key=lambda p: p.rsplit("/", 1)[1])[-1]
    full = pl.read_parquet_schema(newest)
    frame = pl.scan_parquet(
        pattern,
        hive_partitioning=True,
        hive_schema=schema,
        schema={**full, **schema},
        missing_columns="insert",
        cast_options=pl.ScanCastOptions(missing_struct_fields="insert"),
    ).collect()
    columns = {name: str(kind) for name, kind in frame.schema.items()}
    groups = frame.group_by(["year", "month", "day", key]).agg(
        pl.len().alias("n"), pl.col("id").sum()
    ).rows()
    rows = (
        frame.sort("id")
        .select(
            "id",
            "at",
            pl.col("specifics").struct.field("lang").alias("specific"),
            pl.col(lang).alias("top"),
            "tags",
            pl.col("nested").struct.field("deep").struct.field("x").alias("x"),
            "score",
            "flag",
            "year_field",
            "_rescued",
            pl.col("_onceflow_key").bin.encode("hex").str.to_uppercase(),
            pl.col("_onceflow_recorded_time").dt.epoch("ms"),
            pl.col("_onceflow_event_time").dt.epoch("us"),
        )
        .rows()
    )
    return columns, groups, rows


def with_pyarrow():
    files = ds.dataset(table, format="parquet").files
    schemas = [pq.read_schema(file) for file in files]
    widest = max(schemas, key=len)
    names = [pa.field(name, pa.string()) for name in ["year", "month", "day", key]]
    partitioning = ds.partitioning(pa.schema(names), flavor="hive")
    full = pa.schema(list(widest) + names)
    found = ds.dataset(table, schema=full, partitioning=partitioning, format="parquet").to_table()
    columns = {field.name: str(field.type) for field in found.schema}
    # Without being told anything, as far as counting goes.
    assert ds.dataset(table, partitioning="hive").count_rows() == found.num_rows
    groups = {}
    for row in found.to_pylist():
        at = (row["year"], row["month"], row["day"], row[key])
        count, total = groups.get(at, (0, 0))
        groups[at] = (count + 1, total + row["id"])
    rows = []
    for row in sorted(found.to_pylist(), key=lambda row: row["id"]):
        deep = (row["nested"] or {}).get("deep") or {}
        rows.append(
            (
                row["id"],
                row["at"],
                (row["specifics"] or {}).get("lang"),
                row[lang],
                row["tags"],
                deep.get("x"),
                row["score"],
                row["flag"],
                row["year_field"],
                row["_rescued"],
                row["_onceflow_key"].hex().upper() if row["_onceflow_key"] else None,
                int(row["_onceflow_recorded_time"].timestamp() * 1000),
                round(row["_onceflow_event_time"].timestamp() * 1e6) if row["_onceflow_event_time"] else None,
            )
        )
    return columns, [(*at, *sums) for at, sums in groups.items()], rows


seen = {}
for name, read in [("duckdb", with_duckdb), ("polars", with_polars), ("pyarrow", with_pyarrow)]:
    columns, groups, rows = read()
    groups = sorted([[text(part) for part in group] for group in groups], key=str)
    seen[name] = {"columns": columns, "groups": groups, "rows": [list(row) for row in rows]}
print(json.dumps(seen))
