//! Who customers are: ids of one person, what other sources know of them, and
//! the types that ids have.

use insta::assert_snapshot;

use crate::project::Project;

#[test]
fn ids_of_one_person_become_one_customer_before_anything_counts() {
    let project = Project::new();
    let orders = "\
        order_id,customer_id,ordered_at,amount
        1,7,2024-01-05T10:00:00,10.00
        2,70,2024-01-06T10:00:00,20.00
        3,700,2024-01-07T10:00:00,30.00
        4,8,2024-01-08T10:00:00,40.00";
    project.orders("orders/all.parquet", orders);
    let customers = "\
        customer_id,acquired_at,channel,acquisition_cost
        700,2024-01-05,ad,5.00
        8,2024-01-06,web,6.00";
    project.orders("customers.parquet", customers);
    project.orders("ids.parquet", "source_id,customer_id\n70,7\n700,7\n99,8");
    let text = "pipeline: p\nsources:\n  orders:\n    url: orders\n  customers:\n    \
                url: customers.parquet\n  customer_ids:\n    url: ids.parquet\n\
                tables: [facts.orders, facts.customers]\npublish:\n  url: out\n";
    project.file("pipelines/p.yaml", text);
    project.run("2024-01-31");
    let columns = ["order_id", "customer_id", "order_number"];
    assert_snapshot!(project.rows("facts.orders", &columns).join("\n"), @r"
    1 7 1
    2 7 2
    3 7 3
    4 8 1
    ");
    let columns = ["customer_id", "orders", "net", "acquisition_channel", "acquired_date"];
    assert_snapshot!(project.rows("facts.customers", &columns).join("\n"), @r"
    7 3 60.00 ad 2024-01-05
    8 1 40.00 web 2024-01-06
    ");
}

/// A person is won once, first, and what was spent on either id was spent.
#[test]
fn customers_that_are_one_person_become_one() {
    let project = Project::new();
    let orders = "\
        order_id,customer_id,ordered_at,amount
        1,7,2024-01-05T10:00:00,10.00
        2,70,2024-01-06T10:00:00,20.00
        3,8,2024-01-07T10:00:00,30.00";
    project.orders("orders/all.parquet", orders);
    let customers = "\
        customer_id,acquired_at,channel,acquisition_cost
        7,2024-01-03,web,5.00
        70,2024-01-02,,7.00
        700,2024-01-01,ad,
        7000,2024-02-01,tv,100.00
        8,2024-01-02,web,6.00
        9,2024-01-02,web,6.00
        9,2024-01-02,ad,6.00";
    project.orders("customers.parquet", customers);
    project.orders("ids.parquet", "source_id,customer_id\n70,7\n700,7\n7000,7");
    let text = "pipeline: p\nsources:\n  orders:\n    url: orders\n  customers:\n    \
                url: customers.parquet\n  customer_ids:\n    url: ids.parquet\n\
                tables: [facts.customers]\npublish:\n  url: out\n";
    project.file("pipelines/p.yaml", text);
    project.run("2024-01-31");
    let columns =
        ["customer_id", "net", "acquired_date", "acquisition_channel", "acquisition_cost"];
    assert_snapshot!(project.rows("facts.customers", &columns).join("\n"), @r"
    7 30.00 2024-01-01 ad 12.00
    8 30.00 2024-01-02 web 6.00
    ");
    let aside = project.rows("quarantine.customers", &["reason", "customer_id"]).join("\n");
    assert_snapshot!(aside, @r"
    contradiction 9
    contradiction 9
    ");
}

/// What is dated after the day is not known on it, and a day is one of the shop.
#[test]
fn the_day_a_customer_was_won_is_a_day_of_the_shop() {
    let project = Project::new();
    let orders = "\
        order_id,customer_id,ordered_at,amount
        1,7,2024-01-05T02:00:00,10.00
        2,8,2024-01-06T10:00:00,20.00";
    project.orders("orders/all.parquet", orders);
    project.file(
        "customers.csv",
        "customer_id,acquired_at,channel\n7,2024-01-05T02:00:00,web\n8,2024-02-01,ad\n",
    );
    let text = "pipeline: p\nparams:\n  timezone: America/New_York\nsources:\n  orders:\n    \
                url: orders\n  customers:\n    url: customers.csv\n    format: csv\n    \
                columns:\n      customer_id: cast(customer_id as bigint)\n      \
                acquired_at: acquired_at\n      channel: channel\n\
                tables: [facts.customers]\npublish:\n  url: out\n";
    project.file("pipelines/p.yaml", text);
    let columns = ["customer_id", "first_order_date", "acquired_date", "acquisition_channel"];
    let shown = |as_of: &str| {
        project.run(as_of);
        project.rows("facts.customers", &columns).join("\n")
    };
    assert_snapshot!(shown("2024-01-31"), @r"
    7 2024-01-04 2024-01-04 web
    8 2024-01-06 null null
    ");
    assert_snapshot!(shown("2024-02-29"), @r"
    7 2024-01-04 2024-01-04 web
    8 2024-01-06 2024-02-01 ad
    ");
}

/// A pipeline with all sources that have customers.
fn three_sources(project: &Project, orders: &str) {
    let text = format!(
        "pipeline: p\nsources:\n  orders:\n    url: orders{orders}\n  customers:\n    \
         url: customers.parquet\n  customer_ids:\n    url: ids.parquet\n\
         tables: [facts.orders, facts.customers]\npublish:\n  url: out\n"
    );
    project.file("pipelines/p.yaml", &text);
}

/// Where orders have texts, `007` and `7` are two people, whatever others have.
#[test]
fn ids_of_all_sources_are_what_those_of_orders_are() {
    let project = Project::new();
    let orders = "\
        order_id,customer_id,ordered_at,amount
        1,007,2024-01-05T10:00:00,10.00
        2,7,2024-01-06T10:00:00,20.00
        3,C0,2024-01-07T10:00:00,30.00
        4,99,2024-01-08T10:00:00,40.00";
    project.orders("orders/all.parquet", orders);
    project.orders("customers.parquet", "customer_id,channel,acquisition_cost\n7,ad,5.00");
    project.orders("ids.parquet", "source_id,customer_id\n99,98");
    three_sources(&project, "");
    project.run("2024-01-31");
    let columns = ["customer_id", "net", "acquisition_channel", "acquisition_cost"];
    assert_snapshot!(project.rows("facts.customers", &columns).join("\n"), @r"
    007 10.00 null null
    7 20.00 ad 5.00
    98 40.00 null null
    C0 30.00 null null
    ");
}

/// Where they are numbers, a text that is none cannot be one of theirs.
#[test]
fn an_id_that_is_no_number_beside_numbers_is_named() {
    let project = Project::new();
    let orders = "order_id,customer_id,ordered_at,amount\n1,7,2024-01-05T10:00:00,10.00";
    project.orders("orders/all.parquet", orders);
    project.orders("customers.parquet", "customer_id,channel\n7,ad\nx9,web");
    project.orders("ids.parquet", "source_id,customer_id\n8,7");
    three_sources(&project, "");
    let run = ["run", "pipelines/p.yaml", "--as-of", "2024-01-31"];
    assert_snapshot!(project.tenure(&run).stderr.lines().skip_while(|line| !line.starts_with("error")).collect::<Vec<_>>().join("\n"), @"
    error: `x9` in `customer_id` of source `customers` is not a whole number, as ids of customers are in `orders`
    --> [TMP]/customers.parquet
     = column: customer_id
     = help: if it is one, map `customer_id` of `orders` as a text, `cast(… as varchar)`; if not, `customer_id: try_cast(customer_id as bigint)`
    ");
    let mapped = "\n    columns:\n      order_id: order_id\n      \
                  customer_id: cast(customer_id as varchar)\n      ordered_at: ordered_at\n      \
                  amount: amount";
    three_sources(&project, mapped);
    project.run("2024-01-31");
    assert_eq!(project.rows("facts.customers", &["customer_id"]), ["7"]);
}

/// Only ids of customers are what those of orders are.
#[test]
fn other_ids_have_a_type_of_their_own() {
    let project = Project::with_models();
    let orders = "order_id,customer_id,ordered_at,amount\n1,7,2024-01-05T10:00:00,10.00";
    project.orders("orders/all.parquet", orders);
    let surveys = "customer_id,answered_at,score,product_id\n7,2024-01-06,9,SKU-1\n";
    project.file("surveys.csv", surveys);
    let model = "-- facts.answers: what was said of what?\n--\n-- grain   customer_id, product_id\n\
                 -- reads   sources.surveys\n-- params  none\n--\n-- customer_id  id      who\n\
                 -- product_id   id      of what\n-- score        bigint  what\n\n\
                 select customer_id, product_id, cast(score as bigint) as score\n\
                 from sources.surveys\n";
    project.file("sql/facts/answers.sql", model);
    let text = "pipeline: p\nsources:\n  orders:\n    url: orders\n  surveys:\n    \
                url: surveys.csv\n    format: csv\ntables: [facts.answers, facts.customers]\n\
                publish:\n  url: out\n";
    project.file("pipelines/p.yaml", text);
    project.run("2024-01-31");
    let columns = ["customer_id", "product_id", "score"];
    assert_eq!(project.rows("facts.answers", &columns), ["7 SKU-1 9"]);
}
