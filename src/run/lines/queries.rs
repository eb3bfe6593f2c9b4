//! The queries over lines of a source, as text.

use std::sync::Arc;

use arrow::datatypes::Schema;

use crate::plan::SourcePlan;
use crate::run::classify::{self, following, list};
use crate::run::refunds::SALES_ASIDE;

/// How many rows a query gives.
pub fn count(query: &str) -> String {
    format!("select count(*) as n from ({query})")
}

/// Sales asked for that count in no line.
pub const LOST: &str = "select asked.number from ingest.asked as asked left anti join \
    (select order_id from ingest.events where not is_refund) as sales \
    on asked.number = sales.order_id";

/// What splits lines in two.
pub struct Split {
    /// Rows that go.
    pub gone: String,
    /// Rows that stay.
    pub kept: String,
}

impl Split {
    fn by(join: &str) -> Self {
        Self { gone: format!("left semi join {join}"), kept: format!("left anti join {join}") }
    }
}

/// The queries over lines of a source, as text.
pub struct Text<'a> {
    /// The source.
    pub source: &'a SourcePlan,
    /// Whether lines say what they are.
    pub has_kind: bool,
    /// Whether lines name sales.
    pub has_refund_of: bool,
    /// Whether a line without a currency is set aside.
    pub asks_currency: bool,
    /// The types of the columns.
    pub types: Arc<Schema>,
}

impl Text<'_> {
    /// All columns of a table.
    pub fn all(&self, table: &str) -> String {
        let columns = classify::columns(self.source.kind);
        let columns = columns.iter().map(|name| format!("{table}.{name}"));
        columns.collect::<Vec<_>>().join(", ")
    }

    /// Whether refunds may name a sale.
    pub fn names_sales(&self) -> bool {
        self.has_kind || self.has_refund_of
    }

    /// Whether a line is one of a refund.
    fn is_refund_line(&self) -> &'static str {
        match self.has_kind {
            true => "(kind is not distinct from 'refund')",
            false => "false",
        }
    }

    /// What the lines of an order say together, of orders of which a line does not say
    /// all. Lines that are set aside say it, too, where no other line does: but not
    /// that there is money.
    pub fn said(&self) -> String {
        let refund = self.is_refund_line();
        let currency = if self.asks_currency { " or currency is null" } else { "" };
        let first = |name: &str, of: &str| {
            format!(
                "coalesce(min(case when counts and {of} then {name} end), \
                 min(case when {of} then {name} end))"
            )
        };
        let sale = format!("not {refund}");
        format!(
            "select order_id, {} as customer_id, {} as currency, \
             {} as sale_at, {} as sale_date, {} as refund_at, {} as refund_date, \
             count(case when counts and {sale} then amount end) as sale_amounts, \
             count(case when counts and {refund} then amount end) as refund_amounts from ( \
               select order_id, customer_id, currency, kind, ordered_at, order_date, amount, \
               true as counts from ingest.unfilled union all \
               select order_id, customer_id, currency, kind, ordered_at, order_date, amount, \
               false as counts from ingest.aside ) as lines \
             left semi join (select order_id from ingest.unfilled \
               where customer_id is null or ordered_at is null or amount is null{currency} \
               union select refund_of from ingest.unfilled where customer_id is null \
             ) as gaps on lines.order_id = gaps.order_id group by order_id",
            first("customer_id", "true"),
            first("currency", "true"),
            first("ordered_at", &sale),
            first("order_date", &sale),
            first("ordered_at", refund),
            first("order_date", refund),
        )
    }

    /// Lines with what their orders say. A line without money adds none where another
    /// line of its order has the money of all.
    pub fn filled(&self) -> String {
        let refund = self.is_refund_line();
        let columns = classify::columns(self.source.kind).into_iter().map(|name| match name {
            "customer_id" => "coalesce(lines.customer_id, of_sale.customer_id, \
                              said.customer_id) as customer_id"
                .into(),
            "currency" => format!("coalesce(lines.{name}, said.{name}) as {name}"),
            "ordered_at" => format!(
                "coalesce(lines.{name}, case when {refund} then said.refund_at \
                 else said.sale_at end) as {name}"
            ),
            "order_date" => format!(
                "coalesce(lines.{name}, case when {refund} then said.refund_date else said.sale_date end) \
                 as {name}"
            ),
            "amount" => format!(
                "case when lines.amount is null and (lines.kind is distinct from 'redemption') \
                 and case when {refund} then said.refund_amounts else said.sale_amounts end > 0 \
                 then cast(0 as decimal(18, 2)) else lines.amount end as amount"
            ),
            name => format!("lines.{name}"),
        });
        format!(
            "select {} from ingest.unfilled as lines left join ingest.said as said \
             on lines.order_id = said.order_id left join ingest.said as of_sale \
             on lines.refund_of = of_sale.order_id and (lines.kind is distinct from 'sale')",
            columns.collect::<Vec<_>>().join(", ")
        )
    }

    /// Orders whose lines do not agree: they name several customers or currencies, or
    /// one of them (of `suspects`) stands twice with other contents. A refund may be
    /// somebody else's than its sale: it is the sale that counts.
    pub fn torn(&self, suspicious: bool) -> String {
        let differ = |value: &str| format!("min({value}) <> max({value})");
        let mut tests = vec![differ("currency")];
        match self.has_kind {
            true => {
                let refund = self.is_refund_line();
                tests.push(differ(&format!("case when {refund} then customer_id end")));
                tests.push(differ(&format!("case when not {refund} then customer_id end")));
            }
            false => tests.push(differ("customer_id")),
        }
        if !self.has_kind && self.has_refund_of {
            tests.push(format!("sum(amount) < 0 and {}", differ("refund_of")));
        }
        let several = format!(
            "select order_id from ingest.judged group by order_id having ({})",
            tests.join(") or (")
        );
        match suspicious {
            false => several,
            true => {
                format!("{several} union select order_id from ingest.verdicts where contents > 1")
            }
        }
    }

    /// Splits lines by whether their order is torn.
    pub fn of_torn(&self) -> Split {
        Split::by("ingest.torn as torn on lines.order_id = torn.order_id")
    }

    /// The number of the sale that a line of a refund is of: what the lines of the refund
    /// say, if they say one, else its own.
    fn refund_lines(&self) -> String {
        let refund = self.is_refund_line();
        if !self.has_refund_of {
            return format!("select *, order_id as number from ingest.lines where {refund}");
        }
        let all = self.all("lines");
        format!(
            "select {all}, coalesce(lines.refund_of, case when least = greatest then least end, \
             order_id) as number from ( \
               select *, min(refund_of) over (partition by order_id) as least, \
               max(refund_of) over (partition by order_id) as greatest \
               from ingest.lines where {refund} ) as lines"
        )
    }

    /// Sales that were set aside and are asked for by refunds.
    pub fn asked(&self) -> String {
        let lines = match self.has_kind {
            true => self.refund_lines(),
            false => "select refund_of as number from ingest.lines where refund_of is not null"
                .to_string(),
        };
        format!(
            "select distinct lines.number from ({lines}) as lines \
             left semi join ingest.{SALES_ASIDE} as sales on lines.number = sales.order_id"
        )
    }

    /// Lines of refunds whose sale is lost.
    pub fn of_lost(&self) -> Split {
        let orders = match self.has_kind {
            true => format!(
                "select distinct order_id, refund_of, number from ({}) as lines",
                self.refund_lines()
            ),
            false => "select order_id, refund_of, refund_of as number from ingest.events \
                      where is_refund"
                .to_string(),
        };
        let lost = format!(
            "(select orders.* from ({orders}) as orders \
             left semi join ingest.lost as lost on orders.number = lost.number) as gone"
        );
        if !self.has_kind {
            return Split::by(&format!("{lost} on lines.order_id = gone.order_id"));
        }
        // Only lines of the refund, and of those that name this sale.
        let said = |table: &str| format!("coalesce(cast({table}.refund_of as varchar), '')");
        let same =
            format!("lines.order_id = gone.order_id and {} = {}", said("lines"), said("gone"));
        let kind = "lines.kind = 'refund'";
        Split {
            gone: format!("left semi join {lost} on {same} where {kind}"),
            kept: format!("left anti join {lost} on {same} and {kind}"),
        }
    }

    /// The orders that lines are: sales, and refunds day by day. Sales that sum below
    /// zero are a refund as well.
    pub fn events(&self) -> String {
        let columns = list(&classify::columns(self.source.kind));
        let following = following("takes_back", &self.types);
        let events = match self.has_kind {
            true => format!("{} union all {}", self.sales(), self.refunds()),
            false => self.sales(),
        };
        format!("select {columns}, {following} from ({events})")
    }

    fn sales(&self) -> String {
        let (kind, money) = match self.has_kind {
            true => (
                "case when max(case when kind = 'redemption' then 0 else 1 end) = 0 \
                 then 'redemption' else 'sale' end",
                "case when kind = 'redemption' then 0 else amount end",
            ),
            false => ("cast(null as varchar)", "amount"),
        };
        let refund_of = match (self.has_kind, self.has_refund_of) {
            (false, true) => "min(refund_of)",
            _ => "max(case when false then refund_of end)",
        };
        let sums = self.sums();
        format!(
            "select order_id, min(ordered_at) as ordered_at, min(order_date) as order_date, \
             cast(sum({money}) as decimal(18, 2)) as amount, {kind} as kind, \
             {refund_of} as refund_of, {sums}, sum({money}) < 0 as takes_back \
             from ingest.lines where not {} group by order_id",
            self.is_refund_line()
        )
    }

    /// The lines of a refund are added before the sign is dropped that all of them have
    /// together; those of another day are a refund of that day.
    fn refunds(&self) -> String {
        format!(
            "select order_id, ordered_at, order_date, cast(case when sum(amount) over (partition \
             by order_id) > 0 then -amount else amount end as decimal(18, 2)) as amount, kind, \
             case when number <> order_id then number end as refund_of, customer_id, line_id, \
             channel, store, campaign, currency, discount, cost, true as takes_back from ( \
               select order_id, number, min(ordered_at) as ordered_at, order_date, \
               sum(amount) as amount, 'refund' as kind, {} from ({}) as lines \
               group by order_id, number, order_date )",
            self.sums(),
            self.refund_lines()
        )
    }

    /// What an order says once, the first by name where lines differ; and sums.
    fn sums(&self) -> &'static str {
        "min(customer_id) as customer_id, cast(null as varchar) as line_id, \
         min(channel) as channel, min(store) as store, min(campaign) as campaign, \
         min(currency) as currency, cast(sum(discount) as decimal(18, 2)) as discount, \
         cast(sum(cost) as decimal(18, 2)) as cost"
    }
}
