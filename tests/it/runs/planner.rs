//! What DataFusion's planner takes for granted and is not so: models of one's own
//! whose rows have been wrong, without a word, beside the same worked out here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::GENERATED_AS_OF;
use crate::project::Project;

/// Orders and a model of one's own, for a number of threads.
fn project() -> Project {
    let project = Project::with_models();
    let arguments = ["generate", "data", "--customers", "3000", "--months", "24", "--seed", "7"];
    let outcome = project.tenure(&arguments);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    project
}

/// The rows of `metrics.own`, a query over `facts.orders` with these columns.
fn own(project: &Project, threads: usize, grain: &str, columns: &str, query: &str) -> Vec<String> {
    let mut header = format!("-- metrics.own: ours\n--\n-- grain   {grain}\n");
    header.push_str("-- reads   facts.orders\n-- params  none\n--\n");
    for column in columns.split(", ") {
        writeln!(header, "-- {column}  as the query says").expect("a text");
    }
    project.file("sql/metrics/own.sql", &format!("{header}\n{query}\n"));
    project.file(
        "pipelines/p.yaml",
        &format!(
            "pipeline: p\nsources:\n  orders:\n    url: data/orders\n\
             tables: [facts.orders, metrics.own]\npublish:\n  url: out\n\
             engine:\n  threads: {threads}\n"
        ),
    );
    project.run_with(GENERATED_AS_OF, &["--full-refresh"]);
    let names: Vec<&str> =
        columns.split(", ").filter_map(|column| column.split_whitespace().next()).collect();
    project.rows("metrics.own", &names)
}

/// Some columns of the published orders.
fn orders<const N: usize>(project: &Project, columns: [&str; N]) -> Vec<[String; N]> {
    let rows = project.rows("facts.orders", &columns);
    let cells = |row: &String| {
        let cells: Vec<String> = row.split(' ').map(str::to_string).collect();
        cells.try_into().expect("as many columns")
    };
    rows.iter().map(cells).collect()
}

#[test]
fn a_table_that_a_join_holds_lends_it_no_order() {
    let project = project();
    // Days are put into an order for the window alone, after the join is planned.
    let query = "with days as (\n\
            select coalesce(store, 'none') as store, order_date, count(*) as orders\n\
            from facts.orders group by store, order_date\n\
        ),\n\
        ranked as (\n\
            select store, order_date, lag(orders) over (order by store, order_date) as before\n\
            from days\n\
        )\n\
        select o.customer_id, r.store, count(*) as days, max(r.before) as most\n\
        from facts.orders as o join ranked as r on r.order_date = o.order_date\n\
        group by o.customer_id, r.store";
    let columns = "customer_id id, store text, days bigint, most bigint";
    for threads in [1, 2, 4] {
        let found = own(&project, threads, "customer_id, store", columns, query);
        let orders = orders(&project, ["customer_id", "order_date", "store"]);
        let mut stores: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for [_, day, store] in &orders {
            let store = if store == "null" { "none" } else { store };
            stores.entry(day).or_default().insert(store);
        }
        let mut expected: BTreeMap<(i64, &str), usize> = BTreeMap::new();
        for [customer, day, _] in &orders {
            for store in &stores[day.as_str()] {
                *expected.entry((customer.parse().expect("a number"), store)).or_default() += 1;
            }
        }
        assert_eq!(found.len(), expected.len(), "{threads} threads");
        for (row, ((customer, store), days)) in found.iter().zip(expected) {
            assert!(row.starts_with(&format!("{customer} {store} {days} ")), "{row}");
        }
    }
}

/// Customers of each store and day, stores being found twice.
const CELLS: &str = "with stores as (\n\
        select store, count(*) as orders from facts.orders group by store\n\
    ),\n\
    per_customer as (\n\
        select stores.store, o.order_date, o.customer_id, count(*) as orders\n\
        from facts.orders as o inner join stores on stores.store = o.store\n\
        group by stores.store, o.order_date, o.customer_id\n\
    ),\n\
    per_cell as (\n\
        select store, order_date, count(*) as customers from per_customer\n\
        group by store, order_date\n\
    )\n";

#[test]
fn keys_of_groups_are_neither_lost_nor_added() {
    let project = project();
    let query = format!(
        "{CELLS}select store, cast(count(*) as bigint) as cells, max(customers) as most\n\
         from per_cell group by store"
    );
    let found = own(&project, 2, "store", "store text, cells bigint, most bigint", &query);
    let mut cells: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for [store, day, customer] in orders(&project, ["store", "order_date", "customer_id"]) {
        if store != "null" {
            cells.entry(store).or_default().entry(day).or_default().insert(customer);
        }
    }
    let expected = cells.iter().map(|(store, days)| {
        let most = days.values().map(BTreeSet::len).max().expect("one");
        format!("{store} {} {most}", days.len())
    });
    assert_eq!(found, expected.collect::<Vec<_>>());
    assert!(cells.values().any(|days| days.len() > 1), "a second key");
    // Nothing reads the second key here, and still it is one.
    let query = format!(
        "{CELLS}select store, most from (\n\
            select store, max(customers) as most, count(*) as cells from per_cell group by store\n\
         ) where cells > 1"
    );
    let several = cells.values().filter(|days| days.len() > 1).count();
    let found = own(&project, 2, "store", "store text, most bigint", &query);
    assert_eq!(found.len(), several);
}

#[test]
fn nulls_come_first_where_a_window_says_so() {
    let project = project();
    let query = "with once as (\n\
            select order_id, store, row_number() over (\n\
                partition by store order by gross, order_id\n\
            ) as place from facts.orders\n\
        )\n\
        select order_id, store, place, cast(row_number() over (\n\
            order by store nulls first, order_id\n\
        ) as bigint) as row from once";
    for threads in [1, 3] {
        let query = query.replace("place, cast", "cast(place as bigint) as place, cast");
        let columns = "order_id id, store text, place bigint, row bigint";
        let found = own(&project, threads, "order_id", columns, &query);
        let mut all: Vec<(Option<String>, i64)> = orders(&project, ["store", "order_id"])
            .into_iter()
            .map(|[store, id]| {
                let store = (store != "null").then_some(store);
                (store, id.parse().expect("a number"))
            })
            .collect();
        all.sort();
        let places: BTreeMap<i64, usize> =
            all.iter().enumerate().map(|(place, (_, id))| (*id, place + 1)).collect();
        assert!(all.iter().any(|(store, _)| store.is_none()), "orders without a store");
        for row in found {
            let cells: Vec<&str> = row.split(' ').collect();
            let id: i64 = cells[0].parse().expect("a number");
            assert_eq!(cells[3], places[&id].to_string(), "{threads} threads: {row}");
        }
    }
}

#[test]
fn rows_in_several_sets_of_groups_have_no_order() {
    let project = project();
    let cube = "select q.customer_id, count(*) as sets\n\
                from (\n\
                    select customer_id, store from facts.orders group by cube(customer_id, store)\n\
                ) as q\n\
                where q.customer_id is not null group by q.customer_id";
    for threads in [1, 2] {
        let found = own(&project, threads, "customer_id", "customer_id id, sets bigint", cube);
        let mut stores: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
        for [customer, store] in orders(&project, ["customer_id", "store"]) {
            stores.entry(customer.parse().expect("a number")).or_default().insert(store);
        }
        let expected = stores.iter().map(|(customer, stores)| {
            // One set more is that of all stores.
            format!("{customer} {}", stores.len() + 1)
        });
        assert_eq!(found, expected.collect::<Vec<_>>(), "{threads} threads");
    }
}

#[test]
fn a_key_may_stand_twice_among_those_of_groups() {
    let project = project();
    let query = "select store as one, store as other, count(distinct order_id) as orders\n\
                 from facts.orders where store is not null group by store, store";
    let columns = "one text, other text, orders bigint";
    let found = own(&project, 2, "one", columns, query);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for [store] in orders(&project, ["store"]) {
        *counts.entry(store).or_default() += 1;
    }
    counts.remove("null");
    let expected = counts.iter().map(|(store, count)| format!("{store} {store} {count}"));
    assert_eq!(found, expected.collect::<Vec<_>>());
}
