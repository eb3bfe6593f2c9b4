//! What the rows of a source that count become: the query of `sources.<name>`,
//! as text. Which rows count is said in `classify`.

use chrono::NaiveDate;

use super::classify::{columns, list};
use super::mapping::Mapped;
use crate::plan::{Rows, SourcePlan};

/// The canonical table of a source; `merges` if its rows are customers of whom
/// some may be one person, as of a day.
pub fn query(source: &SourcePlan, mapping: &Mapped, merges: bool, as_of: NaiveDate) -> String {
    if merges {
        return merged(as_of);
    }
    if source.kind.name != "orders" {
        return format!("select {} from ingest.lines", list(&columns(source.kind)));
    }
    let has_kind =
        mapping.columns.iter().any(|column| column.column.name == "kind" && column.raw.is_some());
    let events = match (source.rows, has_kind) {
        (Rows::Orders, _) => ONE_ROW,
        (Rows::Lines, false) => SUMMED,
        (Rows::Lines, true) => SUMMED_BY_KIND,
    };
    // Without kinds, a refund is what is negative already.
    let amount = match has_kind {
        true => {
            "case when is_refund then -abs(amount) when kind = 'redemption' then 0 \
             else amount end"
        }
        false => "amount",
    };
    format!(
        "select order_id, customer_id, ordered_at, order_date, \
         cast({amount} as decimal(18, 2)) as amount, \
         case when is_refund then 'refund' else coalesce(kind, 'sale') end as kind, is_refund, \
         channel, store, campaign, currency, discount, cost from ({events})"
    )
}

/// A person is won once, first, and all that was spent on it was spent. What is
/// dated after the day is not known on it.
fn merged(as_of: NaiveDate) -> String {
    format!(
        "select customer_id, min(acquired_at) as acquired_at, \
         first_value(channel order by acquired_at asc nulls last, source_id) \
             filter (where channel is not null) as channel, \
         cast(sum(acquisition_cost) as decimal(18, 2)) as acquisition_cost from ( \
           select coalesce(ids.customer_id, lines.customer_id) as customer_id, \
           lines.customer_id as source_id, lines.acquired_at, lines.channel, \
           lines.acquisition_cost \
           from ingest.lines as lines left join sources.customer_ids as ids \
           on lines.customer_id = ids.source_id \
           where lines.acquired_at is null or lines.acquired_at <= date '{as_of}' ) \
         group by customer_id"
    )
}

/// Rows that are orders.
const ONE_ROW: &str = "select * from ingest.clustered";

/// Lines of one order, summed; the sum says whether it is a refund.
const SUMMED: &str = "select *, amount < 0 as is_refund from ( \
    select lines.order_id, min(lines.customer_id) as customer_id, \
    min(lines.ordered_at) as ordered_at, min(lines.order_date) as order_date, \
    sum(lines.amount) as amount, cast(null as varchar) as kind, \
    min(lines.channel) as channel, min(lines.store) as store, min(lines.campaign) as campaign, \
    min(lines.currency) as currency, cast(sum(lines.discount) as decimal(18, 2)) as discount, \
    cast(sum(lines.cost) as decimal(18, 2)) as cost from ingest.lines as lines \
    left anti join ingest.torn as torn on lines.order_id = torn.order_id \
    group by lines.order_id )";

/// Lines of one order, sales and refunds apart: an order may take something
/// back in the same breath. Sales that sum below zero are a refund as well, so
/// each order ends in at most one row of either.
const SUMMED_BY_KIND: &str = "select order_id, is_refund, min(customer_id) as customer_id, \
    min(ordered_at) as ordered_at, min(order_date) as order_date, sum(amount) as amount, \
    case when max(case when kind = 'redemption' then 0 else 1 end) = 0 then 'redemption' \
         else 'sale' end as kind, \
    min(channel) as channel, min(store) as store, min(campaign) as campaign, \
    min(currency) as currency, cast(sum(discount) as decimal(18, 2)) as discount, \
    cast(sum(cost) as decimal(18, 2)) as cost from ( \
      select *, refund_line or amount < 0 as is_refund from ( \
        select lines.order_id, lines.kind is not distinct from 'refund' as refund_line, \
        min(lines.customer_id) as customer_id, min(lines.ordered_at) as ordered_at, \
        min(lines.order_date) as order_date, \
        case when lines.kind is not distinct from 'refund' then -abs(sum(lines.amount)) \
             else sum(case when lines.kind = 'redemption' then 0 else lines.amount end) \
             end as amount, \
        max(case when lines.kind = 'redemption' then 'redemption' else 'sale' end) as kind, \
        min(lines.channel) as channel, min(lines.store) as store, \
        min(lines.campaign) as campaign, min(lines.currency) as currency, \
        sum(lines.discount) as discount, sum(lines.cost) as cost \
        from ingest.lines as lines \
        left anti join ingest.torn as torn on lines.order_id = torn.order_id \
        group by lines.order_id, lines.kind is not distinct from 'refund' ) ) \
    group by order_id, is_refund";
