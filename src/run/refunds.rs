//! Refunds that say of which sale they are: by `refund_of`, else by carrying its number.
//! Their money comes off that very sale; where it was set aside they go with it; where
//! it is not in the files they are as if they had not said it.
//!
//! A sale and the refunds that name it are taken out of the clustered order, settled,
//! and put back: hardly any rows, or none.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use chrono::NaiveDate;
use datafusion::error::Result;
use futures::StreamExt;

use super::classify::{self, Rule, list};
use super::reading::Reading;
use super::tables::number;
use crate::engine::collect::{Collected, Collector};
use crate::engine::keys::Keys;
use crate::engine::naming::Naming;

/// Numbers of sales that were set aside.
pub const SALES_ASIDE: &str = "sales_aside";

/// Numbers of sales that were set aside in some tables. What comes after the day is
/// none, for it counts as not there.
pub fn sales_aside(from: &[String], is_sale: &str, as_of: NaiveDate) -> String {
    let numbers = from.iter().map(|table| {
        format!(
            "select order_id from {table} as rows where {is_sale} and order_id is not null \
             and (order_date is null or order_date <= date '{as_of}')"
        )
    });
    numbers.collect::<Vec<_>>().join(" union all ")
}

/// That a row is no refund, as far as is known.
fn no_refund() -> String {
    format!("(({}) is not true)", classify::REFUND)
}

/// What the amounts of refunds are.
#[derive(Debug, Clone, Copy)]
pub enum Money {
    /// As the source signs them: all of it is taken off.
    Raw,
    /// Below 0 where money went back.
    Signed,
}

impl Money {
    fn taken_off(self) -> &'static str {
        match self {
            Self::Raw => "abs(amount)",
            Self::Signed => "-amount",
        }
    }
}

/// What became of rows that were to be put back.
pub struct PutBack {
    /// How many count.
    pub rows: u64,
    /// How many do not.
    pub left: u64,
}

/// Refunds that name a sale and no customer: shops that keep refunds as orders of their
/// own often leave it out, and the sale says who it was.
const NAMELESS: &str = "nameless";

/// The predicate of such rows among those that were set aside.
fn is_nameless(rules: &[Rule]) -> Option<String> {
    let (named, others): (Vec<Rule>, Vec<Rule>) =
        rules.iter().cloned().partition(|(reason, _)| reason == "no_customer");
    let (_, test) = named.first()?;
    let (refund, others) = (classify::REFUND, classify::any(&others));
    Some(format!("(((reject is null) and ({test}) and ({refund}) and not ({others})) is true)"))
}

impl Reading<'_> {
    /// The images of keys to be looked at: of numbers that stand more than once, here
    /// or among sales that were set aside (`has_aside`), and of what refunds name.
    ///
    /// # Errors
    /// A query or the disk fails.
    pub async fn suspected(
        &self,
        collected: &mut Collected,
        has_aside: bool,
    ) -> Result<HashSet<u64>> {
        let mut beside = Keys::default();
        if has_aside {
            let rejected = sales_aside(&["ingest.rejected".into()], &no_refund(), self.plan.as_of);
            self.view(SALES_ASIDE, &rejected).await?;
            let id = collected.schema().field_with_name("order_id")?.data_type().clone();
            let mut buffer = Vec::new();
            for numbers in [
                format!("select distinct order_id from ingest.{SALES_ASIDE}"),
                format!("select distinct coalesce(refund_of, order_id) from ingest.{NAMELESS}"),
            ] {
                let mut numbers = self.context.sql(&numbers).await?.execute_stream().await?;
                while let Some(batch) = numbers.next().await {
                    beside.add(&[cast(batch?.column(0), &id)?], &mut buffer)?;
                }
            }
        }
        let mut images = match self.says("refund_of") {
            true => collected.named(Naming::of(collected.schema())?).await?,
            false => HashSet::new(),
        };
        images.extend(collected.repeats(beside).await?);
        Ok(images)
    }

    /// Orders that are sales and were set aside: those that were rejected, and those
    /// that contradict each other.
    pub fn sales_aside(&self) -> String {
        let from = ["ingest.rejected".into(), format!("({})", classify::contradictions("*"))];
        sales_aside(&from, &no_refund(), self.plan.as_of)
    }

    /// Refunds that do not count, as rows with a reason.
    pub fn left_out(&self) -> String {
        let columns = list(&classify::columns(self.source.kind));
        format!("select reason, {columns} from ingest.left_out")
    }

    /// Makes `ingest.nameless` of the refunds that were set aside for no customer alone,
    /// and takes them out of what was rejected; tells how many.
    ///
    /// # Errors
    /// A query fails.
    pub async fn nameless(&self, rules: &[Rule]) -> Result<u64> {
        let is_nameless = is_nameless(rules).unwrap_or_else(|| "false".into());
        let columns = classify::columns(self.source.kind).into_iter().map(|name| match name {
            // An empty text is none.
            "customer_id" => "case when false then customer_id end as customer_id",
            name => name,
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let rows = format!("select {columns} from ingest.aside where {is_nameless}");
        self.view(NAMELESS, &rows).await?;
        let count = format!("select count(*) as n from ingest.{NAMELESS}");
        let count = number(&self.context.sql(&count).await?.collect().await?);
        if count > 0 {
            let rejected = classify::rejected(self.source, rules);
            self.view("rejected", &format!("{rejected} where not {is_nameless}")).await?;
        }
        Ok(count)
    }

    /// Adds the nameless to the suspects.
    ///
    /// # Errors
    /// None that is known.
    pub async fn add_nameless(&self, schema: &SchemaRef) -> Result<()> {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let names = list(&names);
        let nameless = format!("select * from ingest.{NAMELESS}");
        let nameless = classify::with_following(&nameless, &self.types());
        let all = format!(
            "select {names} from ingest.suspects union all select {names} from ({nameless})"
        );
        self.view("suspects", &all).await
    }

    /// Whether the files say something of a column.
    pub fn says(&self, name: &str) -> bool {
        let mut columns = self.mapped.columns.iter();
        columns.any(|column| column.column.name == name && column.raw.is_some())
    }

    /// Settles the rows of `ingest.settled`, and puts back those that count. What does
    /// not is `ingest.left_out`.
    ///
    /// # Errors
    /// A query or the disk fails.
    pub async fn put_back(
        &self,
        collected: &mut Collected,
        money: Money,
        has_aside: bool,
    ) -> Result<PutBack> {
        self.view("traced", &traced(has_aside)).await?;
        let columns = list(&classify::columns(self.source.kind));
        let left = format!(
            "select case when is_lost then '{}' else 'no_customer' end as reason, {columns} \
             from ingest.traced where not ({COUNTS})",
            classify::SALE_SET_ASIDE
        );
        self.view("left_out", &left).await?;
        let schema = Arc::clone(collected.schema());
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let collector = Collector::new(self.context, self.scratch, &schema, &[]);
        let collector = Arc::new(collector);
        let joining = self.joining();
        let mut stream = joining.sql(&settled(&names, money)).await?.execute_stream().await?;
        let mut buffer = Vec::new();
        let mut rows = 0;
        while let Some(batch) = stream.next().await {
            let batch = collected.fitted(&batch?)?;
            rows += batch.num_rows() as u64;
            collector.push(&batch, &mut buffer).await?;
        }
        collected.take_in(Collector::finish(collector)?);
        let left = "select count(*) as n from ingest.left_out";
        let left = number(&joining.sql(left).await?.collect().await?);
        Ok(PutBack { rows, left })
    }
}

/// Whether a traced refund counts: its sale was not set aside, and somebody had it.
const COUNTS: &str = "(not is_lost) and (sale_id is not null or customer_id is not null)";

/// Refunds with the sale that each names, where it counts; `is_lost` where it was set
/// aside. With `refund_of` the number of a refund is its own.
fn traced(has_aside: bool) -> String {
    let (lost, is_lost) = match has_aside {
        true => (
            format!(
                " left join (select distinct order_id from ingest.{SALES_ASIDE}) as aside \
                 on refunds.number = aside.order_id"
            ),
            "sales.order_id is null and aside.order_id is not null",
        ),
        false => (String::new(), "false"),
    };
    format!(
        "select refunds.*, sales.order_id as sale_id, sales.customer_id as sale_customer, \
         sales.channel as sale_channel, sales.store as sale_store, \
         sales.campaign as sale_campaign, sales.cost as sale_cost, {is_lost} as is_lost \
         from (select *, coalesce(refund_of, order_id) as number from ingest.settled \
           where is_refund) as refunds \
         left join (select order_id, customer_id, channel, store, campaign, cost \
           from ingest.settled where not is_refund) as sales \
         on refunds.number = sales.order_id{lost}"
    )
}

/// Sales with what the refunds took off that name them, and these refunds, which are
/// their sale's: of its customer, in its channel, store and campaign, and their cost
/// is known where its is. The columns are `names`.
fn settled(names: &[&str], money: Money) -> String {
    let sale = |name: &&str| match *name {
        "named_refunds" | "named_cost" => format!("sums.{name}"),
        name => format!("sales.{name}"),
    };
    let refund = |name: &&str| match *name {
        "customer_id" => "coalesce(sale_customer, customer_id) as customer_id".to_string(),
        "refund_of" => "sale_id as refund_of".to_string(),
        "cost" => "case when sale_id is null then cost when sale_cost is not null then \
                   coalesce(cost, cast(0 as decimal(18, 2))) end as cost"
            .to_string(),
        "channel" | "store" | "campaign" => {
            format!("case when sale_id is null then {name} else sale_{name} end as {name}")
        }
        name => name.to_string(),
    };
    let sales = names.iter().map(sale).collect::<Vec<_>>().join(", ");
    let refunds = names.iter().map(refund).collect::<Vec<_>>().join(", ");
    format!(
        "select {sales} from (select * from ingest.settled where not is_refund) as sales \
         left join (select sale_id, cast(sum({}) as decimal(18, 2)) as named_refunds, \
           cast(sum(case when sale_cost is not null then \
             coalesce(cost, cast(0 as decimal(18, 2))) end) as decimal(18, 2)) as named_cost \
           from ingest.traced where sale_id is not null group by sale_id) as sums \
         on sales.order_id = sums.sale_id \
         union all select {refunds} from ingest.traced where {COUNTS}",
        money.taken_off()
    )
}
