"""Do two tools say the same? compare(TENURE_FILES, OTHER_FILES) by table and column.

Tables are compared by row count and, joined on their grain, by the values of every
column that both have; doubles and money to the last digit but one.
"""

import duckdb

GRAINS = {
    "facts.orders": ["order_id"],
    "facts.customers": ["customer_id"],
    "facts.customer_periods": ["customer_id", "period"],
    "metrics.cohort_retention": ["cohort_start", "period_index"],
    "metrics.retention_windows": ["window_days", "method"],
    "metrics.repurchase_summary": ["span", "period_start"],
    "metrics.repurchase_windows": ["cohort_start", "window_days"],
    "metrics.repurchase_steps": ["order_number"],
    "metrics.repurchase_cycle": ["basis"],
    "metrics.repurchase_gap_histogram": ["basis", "gap_days"],
    "metrics.rfm_scores": ["customer_id"],
    "metrics.rfm_segments": ["segment"],
    "metrics.rfm_cells": ["r_score", "f_score", "m_score"],
    "metrics.lifecycle_states": ["customer_id"],
    "metrics.lifecycle_transitions": ["period", "from_state", "to_state"],
    "metrics.lifecycle_summary": ["period"],
    "metrics.value_formulas": ["scope", "scope_value"],
    "metrics.customer_value": ["customer_id"],
    "metrics.value_concentration": ["decile"],
}


def compare(ours, theirs):
    """What differs, a line each, and a summary of what was compared."""
    connection = duckdb.connect()
    findings, columns = [], 0
    for table, grain in GRAINS.items():
        if table not in theirs:
            continue
        found, compared = compare_table(connection, grain, ours[table], theirs[table])
        columns += compared
        findings += [f"{table}: {line}" for line in found]
    tables = sum(table in theirs for table in GRAINS)
    return findings, f"{tables} tables, {columns} columns compared"


def compare_table(connection, grain, ours, theirs):
    """The findings about one table, and how many columns were compared."""
    types = columns_of(connection, ours)
    common = [name for name in columns_of(connection, theirs) if name in types]
    counts = connection.execute(
        "select (select count(*) from read_parquet($1)),"
        " (select count(*) from read_parquet($2))",
        [ours, theirs],
    ).fetchone()
    findings = []
    if counts[0] != counts[1]:
        findings.append(f"{counts[0]} rows, the other has {counts[1]}")
    values = [name for name in common if name not in grain]
    unequal = [f"count(case when {differs(name, types[name])} then 1 end)" for name in values]
    keys = " and ".join(f"a.{key} = b.{key}" for key in grain)
    row = connection.execute(
        f"select count(*), {', '.join(unequal)}"
        f" from read_parquet($1) a join read_parquet($2) b on {keys}",
        [ours, theirs],
    ).fetchone()
    if row[0] != counts[0]:
        findings.append(f"{counts[0] - row[0]} rows have no partner")
    for name, count in zip(values, row[1:]):
        if count:
            findings.append(f"{name} differs in {count} of {row[0]} rows")
    return findings, len(values)


def columns_of(connection, path):
    """Names and types of a table's columns."""
    rows = connection.execute(
        "describe select * from read_parquet($1)", [path]
    ).fetchall()
    return {row[0]: row[1] for row in rows}


def differs(name, kind):
    """When two values are not the same; see the top."""
    a, b = f"a.{name}", f"b.{name}"
    if kind.startswith("DECIMAL"):
        least = "0.000002" if kind.endswith("6)") else "0.011"
        close = f"abs({a} - {b}) < {least}"
    elif kind == "DOUBLE":
        close = f"abs({a} - {b}) <= 1e-9 * greatest(1, abs({a}))"
    else:
        close = f"{a} = {b}"
    return f"not coalesce({close}, {a} is null and {b} is null)"
