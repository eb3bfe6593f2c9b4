"""Core tables with Polars: polars_tables.py ORDERS OUT AS_OF.

Lazy queries, on the streaming engine where that is faster, for the tables that are natural in data
frames: orders, customers, their periods, cohorts, repurchase, RFM and concentration.
The lifecycle, the retention windows and customer values are left out, so Polars has
less to do than the others. Definitions and columns are those of the SQL for DuckDB.
POLARS_MAX_THREADS in the environment says how many threads there are.
"""

import datetime
import sys

import polars as pl


def main():
    """Builds the tables one after another, each straight to its file."""
    orders, out, as_of, *_ = sys.argv[1:]
    Tables(orders, out, datetime.date.fromisoformat(as_of)).build()


class Tables:
    """What the tables share: where from, where to, and the last day counted."""

    def __init__(self, source, out, as_of):
        self.source = source
        self.out = out
        self.as_of = as_of

    def build(self):
        """Every table; the facts are collected once, for the metrics to read."""
        # What sorts is faster on the engine that does not stream.
        orders = self.orders().collect(engine="in-memory")
        self.write(orders, "facts.orders")
        customers = self.collect(self.customers(orders.lazy()))
        self.write(customers, "facts.customers")
        periods = self.customer_periods(orders.lazy()).collect(engine="in-memory")
        self.write(periods, "facts.customer_periods")

        self.write(self.cohort_retention(periods.lazy()), "metrics.cohort_retention")
        self.write(self.repurchase_windows(customers.lazy()), "metrics.repurchase_windows")
        self.write(self.repurchase_steps(orders.lazy()), "metrics.repurchase_steps")
        gaps = self.collect(self.gap_histogram(orders.lazy()))
        self.write(gaps, "metrics.repurchase_gap_histogram")
        self.write(self.repurchase_cycle(orders.lazy()), "metrics.repurchase_cycle")
        scores = self.collect(self.rfm_scores(customers))
        self.write(scores, "metrics.rfm_scores")
        self.write(self.rfm_cells(scores.lazy()), "metrics.rfm_cells")
        self.write(self.value_concentration(customers.lazy()), "metrics.value_concentration")

    def collect(self, frame):
        return frame.collect(engine="streaming")

    def write(self, frame, name):
        path = f"{self.out}/{name}.parquet"
        options = {"compression": "zstd", "compression_level": 1}
        if isinstance(frame, pl.LazyFrame):
            frame.sink_parquet(path, engine="streaming", **options)
        else:
            frame.write_parquet(path, **options)

    def orders(self):
        """Sorted by customer and time, so that neighbours are neighbours in life."""
        day = pl.col("order_date")
        is_same = pl.col("customer_id") == pl.col("customer_id").shift(1)
        before = pl.when(is_same)
        after = pl.when(pl.col("customer_id") == pl.col("customer_id").shift(-1))
        position = pl.int_range(pl.len(), dtype=pl.Int64)
        is_new_day = ~is_same.fill_null(False) | (day != day.shift(1))
        start = pl.when(~is_same.fill_null(False))
        first_day = is_new_day.cast(pl.Int64).cum_sum()
        return (
            pl.scan_parquet(self.source)
            .select(
                order_id="o_orderkey",
                customer_id="o_custkey",
                ordered_at=pl.col("o_orderdate").cast(pl.Datetime("us")),
                order_date=pl.col("o_orderdate").cast(pl.Date),
                net=pl.col("o_totalprice").cast(pl.Decimal(18, 2)),
            )
            .filter(day <= self.as_of)
            .sort("customer_id", "ordered_at", "order_id")
            .with_columns(
                order_number=position - start.then(position).forward_fill() + 1,
                previous_order_id=before.then(pl.col("order_id").shift(1)),
                previous_order_date=before.then(day.shift(1)),
                days_since_previous=before.then((day - day.shift(1)).dt.total_days()),
                purchase_day_number=first_day - start.then(first_day).forward_fill() + 1,
                next_order_date=after.then(day.shift(-1)),
                first_order_date=start.then(day).forward_fill(),
            )
        )

    def customers(self, orders):
        day, second = pl.col("order_date"), pl.col("purchase_day_number") == 2
        totals = orders.group_by("customer_id").agg(
            first_order_id=pl.col("order_id").filter(pl.col("order_number") == 1).first(),
            first_order_at=pl.col("ordered_at").min(),
            first_order_date=day.min(),
            second_purchase_date=day.filter(second).min(),
            last_order_at=pl.col("ordered_at").max(),
            last_order_date=day.max(),
            orders=pl.len().cast(pl.Int64),
            purchase_days=pl.col("purchase_day_number").max(),
            net=pl.col("net").sum(),
        )
        as_of, mean = pl.lit(self.as_of), pl.col("net").cast(pl.Float64) / pl.col("orders")
        return totals.with_columns(
            average_order_value=mean.round(2).cast(pl.Decimal(18, 2)),
            tenure_days=(as_of - pl.col("first_order_date")).dt.total_days(),
            recency_days=(as_of - pl.col("last_order_date")).dt.total_days(),
        )

    def customer_periods(self, orders):
        """Orders stand by customer and time, so a row begins where either changes."""
        days, period = pl.col("purchase_day_number"), pl.col("period")
        customer, cohort = pl.col("customer_id"), pl.col("cohort_period")
        is_first = (customer != customer.shift(1)) | (period != period.shift(1))
        months = (
            orders.with_columns(period=month("order_date"))
            .with_columns(run=is_first.fill_null(True).cast(pl.UInt32).cum_sum())
            .set_sorted("run")
            .group_by("run")
            .agg(
                customer_id=customer.first(),
                period=period.first(),
                first_order_date=pl.col("first_order_date").first(),
                orders=pl.len(),
                first_day=days.min(),
                last_day=days.max(),
                revenue=pl.col("net").sum(),
            )
            .sort("run")
        )
        return (
            months.with_columns(cohort_period=month("first_order_date"))
            .select(
                "customer_id",
                "period",
                "cohort_period",
                "revenue",
                orders=pl.col("orders").cast(pl.Int64),
                purchase_days=pl.col("last_day") - pl.col("first_day") + 1,
                period_start=month_start(period),
                cohort_start=month_start(cohort),
                period_index=period - cohort,
                previous_active_period=pl.when(customer == customer.shift(1)).then(
                    period.shift(1)
                ),
                next_active_period=pl.when(customer == customer.shift(-1)).then(
                    period.shift(-1)
                ),
                is_complete=month_start(period).dt.month_end() <= self.as_of,
            )
        )

    def cohort_retention(self, customer_periods):
        last = self.as_of.year * 12 + self.as_of.month - 1
        cells = customer_periods.group_by("cohort_period", "period").agg(
            active_customers=pl.len().cast(pl.Int64),
            orders=pl.col("orders").sum(),
            revenue=pl.col("revenue").sum(),
        )
        period, cohort = pl.col("period"), pl.col("cohort_period")
        dense = (
            cells.select(cohort.unique())
            .with_columns(period=pl.int_ranges(cohort, last + 1))
            .explode("period")
        )
        so_far = pl.col("revenue").cum_sum().over("cohort_period", order_by="period")
        size = pl.col("active_customers").first().over("cohort_period", order_by="period")
        return (
            dense.join(cells, on=["cohort_period", "period"], how="left")
            .with_columns(
                active_customers=pl.col("active_customers").fill_null(0),
                orders=pl.col("orders").fill_null(0),
                revenue=pl.col("revenue").fill_null(0),
            )
            .with_columns(cohort_customers=size, cumulative_revenue=so_far)
            .select(
                cohort_start=month_start(cohort),
                period_index=period - cohort,
                period_start=month_start(period),
                cohort_customers="cohort_customers",
                active_customers="active_customers",
                retention_rate=pl.col("active_customers") / pl.col("cohort_customers"),
                orders="orders",
                revenue="revenue",
                order_revenue="revenue",
                cumulative_revenue="cumulative_revenue",
                is_complete=month_start(period).dt.month_end() <= self.as_of,
                is_left_truncated=cohort == cohort.min(),
            )
        )

    def repurchase_windows(self, customers):
        windows = pl.LazyFrame({"window_days": [30, 60, 90, 180, 365]})
        observed = pl.col("tenure_days") >= pl.col("window_days")
        wait = (pl.col("second_purchase_date") - pl.col("first_order_date")).dt.total_days()
        back = (wait <= pl.col("window_days")).fill_null(False)
        return (
            customers.join(windows, how="cross")
            .group_by(month("first_order_date").alias("cohort"), "window_days")
            .agg(
                cohort_customers=pl.len().cast(pl.Int64),
                eligible_customers=observed.sum().cast(pl.Int64),
                repurchase_customers=(observed & back).sum().cast(pl.Int64),
            )
            .select(
                pl.exclude("cohort"),
                cohort_start=month_start(pl.col("cohort")),
                is_complete=pl.col("eligible_customers") == pl.col("cohort_customers"),
                is_left_truncated=pl.col("cohort") == pl.col("cohort").min(),
            )
        )

    def repurchase_steps(self, orders):
        day = pl.col("order_date")
        eligible = (pl.lit(self.as_of) - day).dt.total_days() >= 180
        wait = (pl.col("next_order_date") - day).dt.total_days()
        return (
            orders.select("order_number", eligible=eligible, wait=wait)
            .with_columns(wait=pl.when(pl.col("eligible") & (pl.col("wait") <= 180)).then("wait"))
            .group_by("order_number")
            .agg(
                customers=pl.len().cast(pl.Int64),
                eligible_customers=pl.col("eligible").sum().cast(pl.Int64),
                converted_customers=pl.col("wait").count().cast(pl.Int64),
                median_days_to_next=pl.col("wait").median(),
            )
        )

    def gap_histogram(self, orders):
        gaps = (
            orders.select(gap_days="days_since_previous")
            .drop_nulls()
            .group_by("gap_days")
            .agg(gaps=pl.len().cast(pl.Int64))
        )
        parts = [
            gaps.select(pl.lit("order").alias("basis"), "gap_days", "gaps"),
            gaps.filter(pl.col("gap_days") > 0).select(
                pl.lit("day").alias("basis"), "gap_days", "gaps"
            ),
        ]
        total = pl.col("gaps").sum().over("basis")
        so_far = pl.col("gaps").cum_sum().over("basis", order_by="gap_days")
        return pl.concat(parts).with_columns(
            share=pl.col("gaps") / total, cumulative_share=so_far / total
        )

    def repurchase_cycle(self, orders):
        gap = pl.col("days_since_previous")

        def basis(name, least):
            return (
                orders.filter(gap >= least)
                .select(
                    basis=pl.lit(name),
                    gaps=pl.len().cast(pl.Int64),
                    mean_days=gap.mean(),
                    p25_days=gap.quantile(0.25, "linear"),
                    median_days=gap.median(),
                    p75_days=gap.quantile(0.75, "linear"),
                    p90_days=gap.quantile(0.9, "linear"),
                    max_days=gap.max(),
                )
            )

        return pl.concat([basis("order", 0), basis("day", 1)])

    def rfm_scores(self, customers):
        def cuts_below(column):
            values = pl.col(column).cast(pl.Float64)
            fifths = (0.2, 0.4, 0.6, 0.8)
            above = [(values > values.quantile(p, "linear")).cast(pl.Int64) for p in fifths]
            return pl.sum_horizontal(above)

        def high(score):
            return pl.col(score) > pl.col(score).mean()

        return customers.lazy().select(
            "customer_id",
            recency_days="recency_days",
            frequency="purchase_days",
            monetary="net",
            r_score=5 - cuts_below("recency_days"),
            f_score=1 + cuts_below("purchase_days"),
            m_score=1 + cuts_below("net"),
        ).with_columns(
            r_high=high("r_score"), f_high=high("f_score"), m_high=high("m_score")
        )

    def rfm_cells(self, scores):
        return scores.group_by("r_score", "f_score", "m_score").agg(
            customers=pl.len().cast(pl.Int64),
            revenue=pl.col("monetary").sum(),
            mean_recency_days=pl.col("recency_days").mean(),
            mean_frequency=pl.col("frequency").mean(),
        )

    def value_concentration(self, customers):
        position = pl.int_range(pl.len(), dtype=pl.Int64)
        deciles = (
            customers.select("customer_id", "net")
            .sort(["net", "customer_id"], descending=[True, False])
            .select("net", decile=position * 10 // pl.len() + 1)
            .group_by("decile")
            .agg(
                customers=pl.len().cast(pl.Int64),
                revenue=pl.col("net").sum(),
                lowest_revenue=pl.col("net").min(),
                highest_revenue=pl.col("net").max(),
            )
            .sort("decile")
        )
        return deciles.with_columns(
            cumulative_customers=pl.col("customers").cum_sum(),
            cumulative_revenue=pl.col("revenue").cum_sum(),
        )


def month(column):
    """The running number of a month, as in facts.periods."""
    day = pl.col(column)
    return day.dt.year().cast(pl.Int64) * 12 + day.dt.month() - 1


def month_start(period):
    """The first day of it."""
    return pl.date(period // 12, period % 12 + 1, 1)


if __name__ == "__main__":
    main()
