//! Identities by way of others, wherever customers are named; and the order of ids,
//! which is the same whether files hold them as numbers or as texts.

use insta::assert_snapshot;

use super::{assert_same, journal, pipeline};
use crate::project::{Outcome, Project};

fn warnings(outcome: &Outcome) -> String {
    let lines = outcome.stderr.lines().filter(|line| line.starts_with("warning: source `cust"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Orders of `ids`, one each in their order, and an identity map.
fn project(ids: &[&str], map: &str) -> Project {
    let project = Project::new();
    let order = |(number, id): (usize, &&str)| {
        format!("{number},{id},2024-01-{:02}T10:00:00,10.00\n", number + 1)
    };
    let orders: String = ids.iter().enumerate().map(order).collect();
    project.file("orders.csv", &format!("order_id,customer_id,ordered_at,amount\n{orders}"));
    project.file("ids.csv", &format!("source_id,customer_id\n{map}"));
    let text = "pipeline: p\nsources:\n  orders:\n    url: orders.csv\n    format: csv\n  \
                customer_ids:\n    url: ids.csv\n    format: csv\n\
                tables: [facts.customers]\npublish:\n  url: out\n";
    project.file("pipelines/p.yaml", text);
    project
}

fn customers(project: &Project) -> Vec<String> {
    project.rows("facts.customers", &["customer_id", "orders"])
}

#[test]
fn chains_of_identities_are_followed_to_their_end() {
    let ids = ["g1", "g2", "acc7", "zoe"];
    let direct = project(&ids, "g1,acc7\ng2,acc7\n");
    let outcome = direct.run("2024-06-30");
    assert_eq!(warnings(&outcome), "");
    assert!(outcome.stderr.contains("2 ids merged into 1 customer"), "{}", outcome.stderr);
    for map in ["g1,g2\ng2,acc7\n", "g2,acc7\ng1,g2\n", "g1,g2\ng2,acc7\nacc7,acc7\nzoe,zoe\n"] {
        let chain = project(&ids, map);
        let outcome = chain.run("2024-06-30");
        assert_eq!(customers(&chain), ["acc7 3", "zoe 1"], "{map}");
        assert_same(&direct.published(), &chain.published(), map);
        assert_snapshot!("chain", warnings(&outcome));
        let merged = journal(&chain)
            .into_iter()
            .find(|step| step["source"] == "customer_ids" && step["step"] == "source_read");
        assert_snapshot!("merged", merged.expect("read")["merged"].to_string());
    }
}

#[test]
fn long_chains_meet_and_end_in_one_customer() {
    // Twenty ids, each by way of the next; and two ways that meet.
    let chain: String = (0..20).map(|n| format!("i{n},i{}\n", n + 1)).collect();
    let ids: Vec<String> = (0..=20).map(|n| format!("i{n}")).collect();
    let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    ids.extend(["a", "b"]);
    let project = project(&ids, &format!("{chain}a,i5\nb,i12\n"));
    project.run("2024-06-30");
    assert_eq!(customers(&project), ["i20 23"]);
}

/// What is said to be each other is one person; which id it has depends on nothing else.
#[test]
fn ids_that_lead_back_to_themselves_are_the_lowest_of_them() {
    let ids = ["20", "3", "100", "7", "x"];
    for map in ["20,3\n3,100\n100,20\n7,20\n", "7,20\n100,20\n20,3\n3,100\n"] {
        let project = project(&ids, map);
        let outcome = project.run("2024-06-30");
        assert_eq!(customers(&project), ["3 4", "x 1"], "{map}");
        assert_snapshot!("circle", warnings(&outcome));
    }
}

/// An id that two rows lead to different people leads nowhere.
#[test]
fn a_chain_ends_where_its_next_step_contradicts_itself() {
    let project = project(&["a", "b", "c", "d"], "a,b\nb,c\nb,d\n");
    project.run("2024-06-30");
    assert_eq!(customers(&project), ["b 2", "c 1", "d 1"]);
    let aside = project.rows("quarantine.customer_ids", &["reason", "source_id"]);
    assert_eq!(aside, ["contradiction b", "contradiction b"]);
}

/// Every column that names a customer, in every source.
#[test]
fn identities_hold_in_every_source() {
    let project = Project::with_models();
    let orders = "order_id,customer_id,ordered_at,amount\n1,a,2024-01-05T10:00:00,10.00";
    project.orders("orders/all.parquet", orders);
    project.file("ids.csv", "source_id,customer_id\na,b\nb,c\nx,y\ny,z\n");
    project.file(
        "referrals.csv",
        "referrer_id,referred_id,referred_at\na,x,2024-01-01\nc,z,2024-01-02\n",
    );
    project.file("events.csv", "customer_id,happened_at,event\nb,2024-01-03,login\n");
    project.file("customers.csv", "customer_id,channel\na,ad\n");
    let model = "-- facts.named: who is named where?\n--\n-- grain   source, number\n\
                 -- reads   sources.events, sources.referrals\n-- params  none\n--\n\
                 -- source  text    where\n-- number  bigint  which\n-- who     id      whom\n\n\
                 with\n\nnamed as (\n\n    select 'events' as source, customer_id as who \
                 from sources.events\n    union all\n    select 'referrers', referrer_id from \
                 sources.referrals\n    union all\n    select 'referred', referred_id from \
                 sources.referrals\n\n)\n\nselect\n    source,\n    cast(row_number() over \
                 (partition by source order by who) as bigint) as number,\n    who\n\nfrom named\n";
    project.file("sql/facts/named.sql", model);
    let csv = |name: &str| format!("  {name}:\n    url: {name}.csv\n    format: csv\n");
    let sources: String = ["customers", "events", "referrals"].map(csv).concat();
    let text = format!(
        "pipeline: p\nsources:\n  orders:\n    url: orders\n  customer_ids:\n    url: ids.csv\n    \
         format: csv\n{sources}tables: [facts.named, facts.customers]\npublish:\n  url: out\n"
    );
    project.file("pipelines/p.yaml", &text);
    project.run("2024-06-30");
    let named = project.rows("facts.named", &["source", "who"]);
    assert_eq!(named, ["events c", "referred z", "referred z", "referrers c", "referrers c"]);
    let customers = project.rows("facts.customers", &["customer_id", "acquisition_channel"]);
    assert_eq!(customers, ["c ad"]);
}

/// Days only, and whole numbers: in which order was bought what was bought on one day?
#[test]
fn ids_that_are_whole_numbers_stand_in_one_order_in_all_formats() {
    let rows = [
        ("9", "web"),
        ("10", "store"),
        ("11", "app"),
        ("100", "web"),
        ("99", "store"),
        ("-3", "app"),
        ("9223372036854775807", "web"),
        ("0", "store"),
    ];
    let csv = Project::new();
    let columns = "columns:\n  order_id: order_id\n  customer_id: customer_id\n  \
                   ordered_at: ordered_at\n  amount: cast(amount as decimal(18,2))\n  \
                   channel: channel\n";
    let text: String =
        rows.iter().map(|(id, channel)| format!("{id},1,2025-01-05,1.00,{channel}\n")).collect();
    let text = format!("order_id,customer_id,ordered_at,amount,channel\n{text}");
    csv.file("orders.csv", &text);
    pipeline(&csv, &format!("url: orders.csv\nformat: csv\n{columns}"), "facts.orders");
    csv.run("2025-06-30");
    let parquet = Project::new();

    parquet.file("orders.json", &rows.map(|(id, channel)| format!(
        "{{\"order_id\":{id},\"customer_id\":1,\"ordered_at\":\"2025-01-05\",\"amount\":1.00,\
         \"channel\":\"{channel}\"}}"
    )).join("\n"));
    pipeline(&parquet, &format!("url: orders.json\nformat: json\n{columns}"), "facts.orders");
    parquet.run("2025-06-30");
    let order = |project: &Project| {
        let mut rows = project.rows("facts.orders", &["order_number", "order_id", "channel"]);
        rows.sort();
        rows
    };
    assert_eq!(order(&csv), order(&parquet));
    assert_snapshot!(order(&csv).join("\n"), @"
    1 -3 app
    2 0 store
    3 9 web
    4 10 store
    5 11 app
    6 99 store
    7 100 web
    8 9223372036854775807 web
    ");
}

/// Ids that only look like numbers, or spell none: numbers first, then texts.
#[test]
fn ids_of_texts_and_numbers_stand_in_one_order_whatever_the_files() {
    let ids = ["A10", "A9", "10", "9", "010", "007", "7", "1e3", "99999999999999999999", "é"];
    let row = |id: &str| format!("{id},1,2025-01-05T10:00:00,1.00\n");
    let mut first = None;
    for turn in 0..3 {
        let mut ids = ids;
        ids.rotate_left(turn * 3);
        let project = Project::new();
        for (file, ids) in ids.chunks(4 + turn).enumerate() {
            let rows: String = ids.iter().map(|id| row(id)).collect();
            let text = format!("order_id,customer_id,ordered_at,amount\n{rows}");
            project.file(&format!("orders/{file}.csv"), &text);
        }
        pipeline(&project, "url: orders\nformat: csv", "facts.orders");
        project.run("2025-06-30");
        let mut rows = project.rows("facts.orders", &["order_number", "order_id"]);
        rows.sort_by_key(|row| row.split(' ').next().and_then(|n| n.parse::<u32>().ok()));
        match &first {
            None => {
                assert_snapshot!(rows.join(", "), @"1 007, 2 7, 3 9, 4 010, 5 10, 6 1e3, 7 99999999999999999999, 8 A10, 9 A9, 10 é")
            }
            Some(first) => assert_eq!(first, &project.published()),
        }
        first.get_or_insert_with(|| project.published());
    }
}
