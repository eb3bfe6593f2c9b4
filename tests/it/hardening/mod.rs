//! What a disk, a text, a folder or a terminal can do to a run that nobody intends.

/// Bits that flip in what is kept and published.
mod decay;
/// Texts that were changed at random.
mod fuzz;
/// Scratch folders beside those of others.
mod scratch;
/// What reaches a terminal, a log and a full disk.
mod shown;
/// Texts that are too deep, too long, or not what they seem.
mod texts;

use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::project::Project;

fn below(random: &mut ChaCha8Rng, end: usize) -> usize {
    usize::try_from(random.next_u64() % end.max(1) as u64).expect("small")
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let pattern = folder.join("**/*");
    let found = glob::glob(&pattern.to_string_lossy()).expect("a pattern");
    let mut files: Vec<_> =
        found.map(|path| path.expect("a path")).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// A project of three small models over two orders.
fn small() -> Project {
    let project = Project::new();
    project
        .file("sql/params.yaml", PARAMS)
        .file("sql/staging/orders.sql", STAGING)
        .file("sql/facts/customers.sql", FACTS)
        .file("sql/metrics/spenders.sql", METRICS)
        .orders("orders/1.parquet", ORDERS)
        .pipeline("facts.customers, metrics.spenders", "");
    project
}

const ORDERS: &str = "\
order_id,customer_id,ordered_at,amount,channel
1,7,2024-01-05T10:00:00,20.00,web
2,7,2024-03-02T10:00:00,30.00,shop
3,8,2024-05-11T10:00:00,12.50,web
";

const PARAMS: &str = "\
as_of: { type: date }
least: { type: int, default: 1, doc: orders from which somebody is listed }
";

const STAGING: &str = "\
-- staging.orders: the orders that count.
--
-- grain   order_id
-- reads   sources.orders
-- params  none
--
-- order_id     id             the order
-- customer_id  id             who ordered
-- channel      text           where
-- amount       decimal(18,2)  money

select
    order_id,
    customer_id,
    channel,
    amount

from sources.orders
";

const FACTS: &str = "\
-- facts.customers: everyone who ever bought.
--
-- grain   customer_id
-- reads   staging.orders
-- params  none
--
-- customer_id  id             who
-- channel      text           where, the last by name
-- orders       bigint         how many orders
-- revenue      decimal(18,2)  their money

select
    customer_id,
    max(channel) as channel,
    count(*) as orders,
    cast(sum(amount) as decimal(18,2)) as revenue

from staging.orders

group by customer_id
";

const METRICS: &str = "\
-- metrics.spenders: who brings the most?
--
-- grain   customer_id
-- reads   facts.customers
-- params  least
--
-- customer_id  id             who
-- revenue      decimal(18,2)  their money

select
    customer_id,
    revenue

from facts.customers

where orders >= $least
";
