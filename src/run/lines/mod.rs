//! Lines become orders. What is said once in an order holds for all its lines; what
//! lines of one order contradict each other in sets all of them aside.
//!
//! ```text
//! unfilled ─► judged ─► agreeing ─► lines ─► events ─► the clustered order
//!    │ gaps      │ torn     │ late     │ gone
//!    ▼           ▼          ▼          ▼
//!   said       what is set aside, and why
//! ```

mod queries;

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::dataframe::DataFrame;
use datafusion::error::Result;

use super::classify::{self, Rule};
use super::reading::Reading;
use super::refunds::{Money, SALES_ASIDE, sales_aside};
use super::tables::{collect, number, register};
use queries::{LOST, Split, Text, count};

use crate::engine::collect::{Collected, Collector};
use crate::plan::SourcePlan;

/// The columns of lines in a pass. An empty text is no customer, so that other lines
/// can say who it is.
pub fn columns(source: &SourcePlan, types: &Schema) -> String {
    let is_text =
        |name: &str| types.field_with_name(name).is_ok_and(|field| !field.data_type().is_numeric());
    let columns = classify::columns(source.kind).into_iter().map(|name| match name {
        "customer_id" if is_text(name) => format!("nullif({name}, '') as {name}"),
        name => name.to_string(),
    });
    columns.collect::<Vec<_>>().join(", ")
}

/// Rules that a line decides by itself, and those that are asked once it is known what
/// the lines of its order say together. What is about a day is asked again then, of
/// lines that have their time from others.
pub fn by_line(rules: Vec<Rule>) -> (Vec<Rule>, Vec<Rule>) {
    const TOGETHER: [&str; 5] =
        ["no_customer", "no_time", "no_amount", "other_currency", "no_currency"];
    const DAYS: [&str; 3] = ["impossible_time", "after_as_of", "before_history"];
    let is = |names: &[&str], rule: &Rule| names.contains(&rule.0.as_str());
    let later = rules.iter().filter(|rule| is(&TOGETHER, rule) || is(&DAYS, rule)).cloned();
    let later = later.collect();
    (rules.into_iter().filter(|rule| !is(&TOGETHER, rule)).collect(), later)
}

/// Lines with what lies beside them.
pub struct Lines {
    /// The lines, of which none stands twice.
    pub rows: DataFrame,
    /// Whether some lack what others may say.
    pub has_gaps: bool,
    /// Whether there were suspects.
    pub suspicious: bool,
    /// How many lines there are.
    pub count: u64,
}

impl Reading<'_> {
    /// Registers the orders that lines are, and what of them is set aside; tells how
    /// many lines count.
    ///
    /// # Errors
    /// A query or the disk fails.
    pub async fn lines(&self, lines: Lines) -> Result<u64> {
        let text = self.text();
        let Lines { rows, has_gaps, suspicious, mut count } = lines;
        register(self.context, "unfilled", &rows)?;
        match has_gaps {
            true => self.fill(&text).await?,
            false => register(self.context, "judged", &rows)?,
        }
        let mut aside = Vec::new();
        collect(self.context, "torn", &text.torn(suspicious)).await?;
        self.part(&text, "agreeing", "judged", "contradiction", &text.of_torn(), &mut aside)
            .await?;
        if has_gaps || self.plan.text("currency").is_some() {
            self.late_lines(&text, &mut aside).await?;
        } else {
            let agreeing = self.context.table("ingest.agreeing").await?;
            register(self.context, "lines", &agreeing)?;
        }
        self.view("events", &text.events()).await?;
        if text.names_sales() {
            self.with_their_sales(&text, suspicious, &mut aside).await?;
        }
        for (_, rows) in &aside {
            count -= rows;
        }
        let events = self.context.sql("select * from ingest.events").await?;
        let events = events.create_physical_plan().await?;
        let schema = events.schema();
        // Only what names sales can have a number that stands twice.
        let key = match text.names_sales() {
            true => vec![schema.index_of("order_id")?],
            false => Vec::new(),
        };
        let collector = Arc::new(Collector::new(self.context, self.scratch, &schema, &key));
        collector.drain(events).await?;
        let mut collected = Collector::finish(collector)?;
        self.settle_lines(&mut collected).await?;
        self.cluster(collected, count).await?;
        let aside: Vec<String> = aside.into_iter().map(|(sql, _)| sql).collect();
        self.finish(suspicious, &aside).await?;
        Ok(count)
    }

    /// What an order says once for all its lines, and they cannot do without; nothing
    /// where rows are no lines.
    pub fn common(&self) -> Vec<&'static str> {
        if !classify::is_lines(self.source) {
            return Vec::new();
        }
        let currency = self.text().asks_currency.then_some("currency");
        ["customer_id", "ordered_at", "amount"].into_iter().chain(currency).collect()
    }

    fn text(&self) -> Text<'_> {
        Text {
            source: self.source,
            has_kind: self.says("kind"),
            has_refund_of: self.says("refund_of"),
            asks_currency: self.says("currency") && self.plan.text("currency").is_some(),
            types: self.types(),
        }
    }

    /// Lines with what other lines of their orders say, as a table of its own.
    async fn fill(&self, text: &Text<'_>) -> Result<()> {
        self.view("said", &text.said()).await?;
        self.spool("judged", &text.filled()).await
    }

    /// Splits a table: rows of `gone`, a query of whole rows, are set aside for a
    /// reason, the others become a view.
    async fn part(
        &self,
        text: &Text<'_>,
        name: &str,
        of: &str,
        reason: &str,
        split: &Split,
        aside: &mut Vec<(String, u64)>,
    ) -> Result<()> {
        let gone = format!("select {} from ingest.{of} as lines {}", text.all("lines"), split.gone);
        let rows = number(&self.context.sql(&count(&gone)).await?.collect().await?);
        let kept = match rows {
            0 => format!("select * from ingest.{of}"),
            _ => format!("select lines.* from ingest.{of} as lines {}", split.kept),
        };
        self.view(name, &kept).await?;
        if rows > 0 {
            let view = format!("{name}_gone");
            self.view(&view, &gone).await?;
            let all = text.all(&view);
            aside.push((format!("select '{reason}' as reason, {all} from ingest.{view}"), rows));
        }
        Ok(())
    }

    /// Sets lines aside by the rules that hold for orders as a whole.
    async fn late_lines(&self, text: &Text<'_>, aside: &mut Vec<(String, u64)>) -> Result<()> {
        let (_, rules) = by_line(classify::rules(self.source, self.plan, &self.types()));
        let any = classify::any(&rules);
        let gone = format!(
            "select {} as reason, {} from ingest.agreeing as lines where {any}",
            classify::first(&rules),
            text.all("lines"),
        );
        let rows = number(&self.context.sql(&count(&gone)).await?.collect().await?);
        let kept = match rows {
            0 => "select * from ingest.agreeing".to_string(),
            _ => format!("select * from ingest.agreeing where not ({any})"),
        };
        self.view("lines", &kept).await?;
        if rows > 0 {
            self.view("late_lines", &gone).await?;
            let all = text.all("late_lines");
            aside.push((format!("select reason, {all} from ingest.late_lines"), rows));
        }
        Ok(())
    }

    /// Sets refunds aside whose sale was.
    async fn with_their_sales(
        &self,
        text: &Text<'_>,
        suspicious: bool,
        aside: &mut Vec<(String, u64)>,
    ) -> Result<()> {
        let is_sale = match text.has_kind {
            true => "(kind is distinct from 'refund')",
            false => "((amount >= 0) is not false)",
        };
        let mut from = vec!["ingest.rejected".to_string()];
        if suspicious {
            from.push(format!("({})", classify::contradictions("*")));
        }
        from.extend(aside.iter().map(|(sql, _)| format!("({sql})")));
        self.view(SALES_ASIDE, &sales_aside(&from, is_sale, self.plan.as_of)).await?;
        collect(self.context, "asked", &text.asked()).await?;
        if self.context.table("ingest.asked").await?.count().await? == 0 {
            return Ok(());
        }
        collect(self.context, "lost", LOST).await?;
        let split = text.of_lost();
        self.part(text, "last_lines", "lines", classify::SALE_SET_ASIDE, &split, aside).await?;
        let last = self.context.table("ingest.last_lines").await?;
        register(self.context, "lines", &last)?;
        self.view("events", &text.events()).await
    }

    /// Gives refunds of orders made of lines to the sales they name.
    async fn settle_lines(&self, collected: &mut Collected) -> Result<()> {
        let images = self.suspected(collected, false).await?;
        if images.is_empty() {
            return Ok(());
        }
        self.take_out(collected, images).await?;
        self.spool("settled", "select * from ingest.suspects").await?;
        self.put_back(collected, Money::Signed, false).await?;
        Ok(())
    }
}
