//! Who is whom: ids that lead to another id by way of a third are followed to the end,
//! so that everybody is one customer wherever a row names them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::MemTable;
use datafusion::error::Result;

use super::reading::Reading;
use super::tables::{number, provide};
use super::target::Merged;

/// Ids shown of a chain at most.
const SHOWN_MAX: usize = 5;

/// The rows whose source_id others lead to; a row that names itself leads nowhere.
const LINKS: &str = "select links.source_id, links.customer_id from ingest.lines as links \
    left semi join (select customer_id from ingest.lines where source_id <> customer_id) as led \
    on links.source_id = led.customer_id where links.source_id <> links.customer_id \
    order by links.source_id";

/// The identity map with chains followed to their ends.
const FOLLOWED: &str = "select lines.source_id, \
    coalesce(ends.customer_id, lines.customer_id) as customer_id \
    from ingest.lines as lines left join ingest.ends as ends \
    on lines.customer_id = ends.source_id";

/// What the identity map says.
pub struct Identities {
    /// Ids and people, for the record.
    pub merged: Merged,
    /// The query of the map where chains were followed.
    pub followed: Option<&'static str>,
    /// What is odd about it.
    pub warnings: Vec<String>,
}

impl Reading<'_> {
    /// Follows the identity map of `ingest.lines`.
    ///
    /// # Errors
    /// A query fails.
    pub async fn identities(&self) -> Result<Identities> {
        let context = self.context;
        let batches = context.sql(LINKS).await?.collect().await?;
        let links = links(&batches)?;
        let found = follow(&links);
        let mut followed = None;
        if !links.is_empty() {
            let id = self.types().field_with_name("customer_id")?.data_type().clone();
            provide(context, "ends", Arc::new(ends(&found.ends, &id)?))?;
            followed = Some(FOLLOWED);
        }
        let map = followed.unwrap_or("select source_id, customer_id from ingest.lines");
        let count = async |what: &str| {
            let sql = format!("select {what} as n from ({map}) where source_id <> customer_id");
            Ok::<_, datafusion::error::DataFusionError>(number(
                &context.sql(&sql).await?.collect().await?,
            ))
        };
        let merged = Merged {
            ids: count("count(*)").await?,
            customers: count("count(distinct customer_id)").await?,
            chained: links.len() as u64,
            circular: found.circular.len() as u64,
        };
        Ok(Identities { merged, followed, warnings: found.warnings(&links) })
    }
}

/// Which id a row leads to, by the id that others lead to.
type Links = BTreeMap<String, String>;

fn links(batches: &[RecordBatch]) -> Result<Links> {
    let mut links = Links::new();
    for batch in batches {
        let text = |column: usize| cast(batch.column(column), &DataType::Utf8);
        let (from, to) = (text(0)?, text(1)?);
        let pairs = from.as_string::<i32>().iter().zip(to.as_string::<i32>());
        links.extend(pairs.filter_map(|(from, to)| Some((from?.to_string(), to?.to_string()))));
    }
    Ok(links)
}

/// The ends as a table with ids of a type.
fn ends(ends: &Links, id: &DataType) -> Result<MemTable> {
    let column = |texts: StringArray| cast(&texts, id);
    let columns = vec![
        column(StringArray::from_iter_values(ends.keys()))?,
        column(StringArray::from_iter_values(ends.values()))?,
    ];
    let fields = ["source_id", "customer_id"].map(|name| Field::new(name, id.clone(), true));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    MemTable::try_new(schema, vec![vec![batch]])
}

/// Where links lead.
#[derive(Default)]
struct Followed {
    /// The end of each.
    ends: Links,
    /// Ids that lead back to themselves.
    circular: BTreeSet<String>,
}

/// Follows each link to its end. Ids that lead back to themselves are one customer all
/// the same, for each is said to be the other: the lowest of them.
fn follow(links: &Links) -> Followed {
    let mut found = Followed::default();
    for begin in links.keys() {
        let mut path: Vec<&str> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut id = begin.as_str();
        let end = loop {
            if let Some(end) = found.ends.get(id) {
                break end.clone();
            }
            if let Some(place) = places.get(id) {
                let circle = &path[*place..];
                found.circular.extend(circle.iter().map(ToString::to_string));
                let lowest = circle.iter().copied().min_by(|a, b| compare(a, b));
                break lowest.unwrap_or(id).to_string();
            }
            let Some(next) = links.get(id) else { break id.to_string() };
            places.insert(id, path.len());
            path.push(id);
            id = next;
        };
        found.ends.extend(path.into_iter().map(|id| (id.to_string(), end.clone())));
    }
    found
}

/// The order of ids: whole numbers by their value, then texts.
fn compare(a: &str, b: &str) -> Ordering {
    let rank = |id: &str| id.parse::<i64>().unwrap_or(i64::MAX);
    rank(a).cmp(&rank(b)).then_with(|| a.cmp(b))
}

impl Followed {
    fn warnings(&self, links: &Links) -> Vec<String> {
        let mut warnings = Vec::new();
        let chained = links.keys().filter(|id| !self.circular.contains(*id));
        let chained: Vec<&String> = chained.collect();
        if let Some(first) = chained.first() {
            warnings.push(format!(
                "source `customer_ids` has chains: {} customer of others and led on, such as {}; \
                 chains are followed to their end",
                counted(chained.len(), "id is the", "ids are the"),
                shown(first, links),
            ));
        }
        if let Some(first) = self.circular.first() {
            let end = self.ends.get(first).map(String::as_str).unwrap_or_default();
            warnings.push(format!(
                "source `customer_ids` has circles: {} back to themselves, such as {}; ids of one \
                 circle are one customer, the lowest of them (`{}`)",
                counted(self.circular.len(), "id leads", "ids lead"),
                shown(first, links),
                end.escape_debug(),
            ));
        }
        warnings
    }
}

fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Where an id leads: `g2` → `acc7`
fn shown(begin: &str, links: &Links) -> String {
    let mut ids = vec![begin];
    while let Some(next) = links.get(ids[ids.len() - 1]) {
        let is_back = ids.contains(&next.as_str());
        ids.push(next);
        if is_back || ids.len() > SHOWN_MAX {
            break;
        }
    }
    let ids = ids.iter().map(|id| format!("`{}`", id.escape_debug()));
    ids.collect::<Vec<_>>().join(" → ")
}
