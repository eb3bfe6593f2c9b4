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
    // Without kinds, a refund is what is negative already; lines were signed when added.
    let amount = match has_kind && source.rows == Rows::Orders {
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
         case when is_refund then refund_of end as refund_of, channel, store, campaign, \
         currency, discount, cost, order_rank, named_refunds, named_cost from ingest.clustered"
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
