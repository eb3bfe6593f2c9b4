//! Refunds that say of which sale they are: their money comes off that very sale, in
//! whatever files and order the rows stand.

use insta::assert_snapshot;

use super::{TABLES, assert_same, pipeline};
use crate::project::Project;

const HEADER: &str = "order_id,customer_id,ordered_at,amount,kind,refund_of,line_id,currency,store";

/// Sales, and refunds that say in every way, or in none, what they are of.
const ROWS: &str = "\
    1,ann,2024-01-05T10:00:00,100.00,sale,,,EUR,a
    1,ann,2024-03-01T10:00:00,-30.00,refund,,,EUR,
    1,ann,2024-03-02T10:00:00,20.00,refund,,,EUR,
    2,ann,2024-02-05T10:00:00,50.00,sale,,,EUR,b
    R1,ann,2024-02-20T10:00:00,-10.00,refund,1,,EUR,
    R2,bob,2024-02-20T10:00:00,-5.00,refund,2,,EUR,
    R3,ann,2024-01-01T10:00:00,-1.00,refund,2,,EUR,
    R4,ann,2024-02-21T10:00:00,-7.00,refund,999,,EUR,
    R5,ann,2024-01-10T10:00:00,-2.00,refund,R1,,EUR,
    R6,ann,2024-02-22T10:00:00,-3.00,refund,,,EUR,
    3,cid,2024-01-09T10:00:00,40.00,sale,,,USD,a
    3,cid,2024-01-19T10:00:00,-40.00,refund,,,EUR,
    R7,cid,2024-01-20T10:00:00,-4.00,refund,3,,EUR,
    4,,2024-01-09T10:00:00,41.00,sale,,,EUR,a
    4,cid,2024-01-21T10:00:00,-41.00,refund,,,EUR,
    5,cid,2024-01-09T10:00:00,42.00,sale,,,EUR,test
    R8,cid,2024-01-22T10:00:00,-42.00,refund,5,,EUR,
    6,cid,2024-01-09T10:00:00,43.00,sale,,,EUR,a
    6,cid,2024-01-09T10:00:00,44.00,sale,,,EUR,a
    6,cid,2024-01-23T10:00:00,-43.00,refund,,,EUR,
    7,dee,2024-01-04T10:00:00,60.00,sale,,,EUR,a
    8,dee,2024-04-04T10:00:00,61.00,sale,,,EUR,a
    8,dee,2024-02-04T10:00:00,-6.00,refund,,,EUR,
    7,dee,2024-03-05T10:00:00,-8.00,refund,,x,EUR,
    7,dee,2024-03-05T10:00:00,-9.00,refund,,y,EUR,
    7,dee,2024-03-06T10:00:00,-2.00,refund,,,EUR,
    7,dee,2024-03-06T10:00:00,-2.00,refund,,,EUR,
    7,dee,2024-03-07T10:00:00,-1.00,refund,,,EUR,
    7,dee,2024-03-07T10:00:00,-1.50,refund,,,EUR,
    R9,,2024-03-08T10:00:00,-0.50,refund,7,,EUR,
    R10,,2024-03-08T10:00:00,-0.60,refund,3,,EUR,
    R11,,2024-03-08T10:00:00,-0.70,refund,,,EUR,
    9,eve,2024-02-01T10:00:00,-3.00,refund,,,EUR,
    9,eve,2024-02-02T10:00:00,-4.00,refund,,,EUR,";

fn write(project: &Project, file: &str, rows: &[&str]) {
    let rows: Vec<&str> = rows.iter().map(|row| row.trim()).collect();
    project.file(file, &format!("{HEADER}\n{}\n", rows.join("\n")));
}

fn told(project: &Project, url: &str, tables: &str) {
    let orders = format!("url: {url}\nformat: csv\nreject:\n  test_store: store = 'test'");
    pipeline(project, &orders, tables);
    let path = project.path("pipelines/p.yaml");
    let text = std::fs::read_to_string(path).expect("a pipeline");
    project.file("pipelines/p.yaml", &format!("{text}params:\n  currency: EUR\n"));
}

#[test]
fn a_refund_comes_off_the_sale_that_it_names() {
    let project = Project::new();
    let rows: Vec<&str> = ROWS.lines().collect();
    write(&project, "orders/all.csv", &rows);
    told(&project, "orders", "facts.orders, facts.customers, facts.unattributed_refunds");
    project.run("2024-03-31");
    // 1: 30 + 20 by its number, 10 by name, and 2 of what names a refund, by time. 2: 5 and
    // 1 by name, 7 and 3 by time. 7: 6 of a sale that has not come
    // yet, 8 + 9, 2 once, and 0.50 of nobody.
    let columns = ["order_id", "customer_id", "order_number", "gross", "refunded", "net"];
    assert_snapshot!(project.rows("facts.orders", &columns).join("\n"), @"
    1 ann 1 100.00 62.00 38.00
    2 ann 2 50.00 16.00 34.00
    7 dee 1 60.00 25.50 34.50
    ");
    let columns = ["customer_id", "orders", "gross", "refunds", "net", "first_order_date"];
    assert_snapshot!(project.rows("facts.customers", &columns).join("\n"), @"
    ann 2 150.00 78.00 72.00 2024-01-05
    dee 1 60.00 25.50 34.50 2024-01-04
    ");
    let columns = ["order_id", "refund_number", "customer_id", "refunded"];
    assert_snapshot!(project.rows("facts.unattributed_refunds", &columns).join("\n"), @"
    9 1 eve 3.00
    9 2 eve 4.00
    ");
    let columns = ["reason", "order_id", "kind", "amount"];
    assert_snapshot!(project.rows("quarantine.orders", &columns).join("\n"), @"
    after_as_of 8 sale 61.00
    contradiction 6 sale 43.00
    contradiction 6 sale 44.00
    contradiction 7 refund -1.50
    contradiction 7 refund -1.00
    duplicate 7 refund -2.00
    no_customer 4 sale 41.00
    no_customer R11 refund -0.70
    other_currency 3 sale 40.00
    sale_set_aside 3 refund -40.00
    sale_set_aside 4 refund -41.00
    sale_set_aside 6 refund -43.00
    sale_set_aside R10 refund -0.60
    sale_set_aside R7 refund -4.00
    sale_set_aside R8 refund -42.00
    test_store 5 sale 42.00
    ");
}

/// The same rows in any order, in any files, read at once or night by night.
#[test]
fn which_sale_a_refund_is_of_depends_on_no_file() {
    let mut rows: Vec<&str> = ROWS.lines().collect();
    let one = Project::new();
    write(&one, "orders/all.csv", &rows);
    told(&one, "orders", TABLES);
    one.run("2024-03-31");
    let expected = one.published();
    let aside = one.table("quarantine.orders");
    for turn in 0..3 {
        rows.reverse();
        rows.rotate_left(7 + turn);
        let nightly = Project::new();
        told(&nightly, "orders", TABLES);
        for (night, chunk) in rows.chunks(4).enumerate() {
            write(&nightly, &format!("orders/{night:02}.csv"), chunk);
            // A run a night keeps pieces of those before; two at once are a piece.
            if night % 2 == 1 {
                nightly.run("2024-03-31");
            }
        }
        nightly.run("2024-03-31");
        assert_same(&expected, &nightly.published(), &format!("turn {turn}"));
        assert_eq!(aside, nightly.table("quarantine.orders"), "turn {turn}");
        nightly.run_with("2024-03-31", &["--full-refresh"]);
        assert_same(&expected, &nightly.published(), &format!("turn {turn}, anew"));
    }
}

/// A first order that came back stays the first: nobody is won later for it.
#[test]
fn a_first_order_that_came_back_stays_the_first() {
    for orders in ["url: orders", "url: orders\nrows: lines"] {
        let project = Project::new();
        let rows = "\
            order_id,customer_id,ordered_at,amount,kind
            1001,7,2025-01-10T00:00:00,50.00,sale
            1001,7,2025-01-20T00:00:00,-50.00,refund
            1002,8,2025-01-12T00:00:00,40.00,sale
            1003,7,2025-02-05T00:00:00,30.00,sale";
        project.orders("orders/all.parquet", rows);
        pipeline(&project, orders, "facts.customers, metrics.cohort_retention");
        project.run("2025-02-28");
        let columns = ["customer_id", "first_order_date", "orders", "net"];
        let customers = project.rows("facts.customers", &columns);
        assert_eq!(customers, ["7 2025-01-10 2 30.00", "8 2025-01-12 1 40.00"], "{orders}");
        let columns = ["cohort_start", "period_index", "cohort_customers", "revenue"];
        let cohorts = project.rows("metrics.cohort_retention", &columns);
        assert_eq!(cohorts, ["2025-01-01 0 2 40.00", "2025-01-01 1 2 30.00"], "{orders}");
    }
}

/// Without kinds a negative amount is a refund, and its number says of what.
#[test]
fn the_sign_makes_a_refund_and_its_number_says_of_what() {
    let project = Project::new();
    let rows = "\
        order_id,customer_id,ordered_at,amount
        1,7,2024-01-05T10:00:00,100.00
        2,7,2024-02-05T10:00:00,50.00
        1,7,2024-03-01T10:00:00,-100.00";
    project.orders("orders/all.parquet", rows);
    project.pipeline("facts.orders", "");
    project.run("2024-03-31");
    let net = project.rows("facts.orders", &["order_id", "refunded", "net"]);
    assert_eq!(net, ["1 100.00 0.00", "2 0.00 50.00"]);
}

/// The cost of a refund is that of its sale: known where the sale's is.
#[test]
fn the_cost_of_a_refund_goes_with_the_sale_that_it_names() {
    let project = Project::new();
    let rows = "\
        order_id,customer_id,ordered_at,amount,cost,refund_of
        1,7,2024-01-05T10:00:00,100.00,60.00,
        2,7,2024-02-05T10:00:00,50.00,,
        R1,7,2024-02-06T10:00:00,-20.00,-12.00,1
        R2,7,2024-02-07T10:00:00,-5.00,-3.00,2
        R3,7,2024-02-08T10:00:00,-10.00,,1";
    project.orders("orders/all.parquet", rows);
    project.pipeline("facts.orders, facts.customer_days", "");
    project.run("2024-03-31");
    let orders = project.rows("facts.orders", &["order_id", "net", "cost"]);
    assert_eq!(orders, ["1 70.00 48.00", "2 45.00 null"]);
    let days = project.rows("facts.customer_days", &["order_date", "cost", "costed_net"]);
    assert_eq!(
        days,
        [
            "2024-01-05 60.00 100.00",
            "2024-02-05 null null",
            "2024-02-06 -12.00 -20.00",
            "2024-02-07 null null",
            "2024-02-08 0.00 -10.00",
        ]
    );
}

/// A refund counts where the sale was bought that it names.
#[test]
fn a_refund_counts_in_the_channel_of_the_sale_that_it_names() {
    let project = Project::new();
    let rows = "\
        order_id,customer_id,ordered_at,amount,channel,refund_of
        1,7,2024-01-05T10:00:00,100.00,web,
        2,7,2024-02-05T10:00:00,50.00,shop,
        R1,7,2024-02-06T10:00:00,-20.00,phone,1
        R2,7,2024-02-07T10:00:00,-5.00,phone,";
    project.orders("orders/all.parquet", rows);
    project.pipeline("metrics.rfm_scores", "params:\n  rfm_scope: channel\n");
    project.run("2024-03-31");
    let scores = project.rows("metrics.rfm_scores", &["scope", "scope_value", "monetary"]);
    assert_eq!(scores, ["all all 125.00", "channel shop 45.00", "channel web 80.00"]);
}

/// Lines of refunds: by number and by name, of several days, of sales set aside.
#[test]
fn lines_of_refunds_come_off_the_sales_they_name() {
    let project = Project::new();
    let rows = "\
        order_id,customer_id,ordered_at,amount,kind,refund_of,store
        1,7,2024-01-05T10:00:00,60.00,sale,,a
        1,7,2024-01-05T10:00:00,40.00,sale,,a
        2,7,2024-02-05T10:00:00,50.00,sale,,a
        1,7,2024-03-01T10:00:00,-20.00,refund,,a
        1,7,2024-03-01T10:00:00,2.00,refund,,a
        1,7,2024-04-01T10:00:00,-5.00,refund,,a
        R1,8,2024-03-02T10:00:00,10.00,refund,2,a
        R1,8,2024-03-02T10:00:00,1.00,refund,,a
        3,9,2024-01-05T10:00:00,30.00,sale,,test
        3,9,2024-02-05T10:00:00,-30.00,refund,,a
        R2,9,2024-02-06T10:00:00,-3.00,refund,3,a
        R2,9,2024-02-06T10:00:00,-4.00,refund,2,a
        4,9,2024-02-07T10:00:00,9.00,sale,,a
        4,9,2024-02-07T10:00:00,9.00,sale,,test
        4,9,2024-02-08T10:00:00,-1.00,refund,,a";
    project.orders("orders/all.parquet", rows);
    let orders = "url: orders\nrows: lines\nreject:\n  test_store: store = 'test'";
    pipeline(&project, orders, "facts.orders, facts.customer_days");
    project.run("2024-04-30");
    let columns = ["order_id", "customer_id", "gross", "refunded", "net"];
    assert_eq!(
        project.rows("facts.orders", &columns),
        ["1 7 100.00 23.00 77.00", "2 7 50.00 15.00 35.00", "4 9 9.00 1.00 8.00",]
    );
    let days = project.rows("facts.customer_days", &["customer_id", "order_date", "refunds"]);
    assert!(days.contains(&"7 2024-03-01 18.00".into()), "{days:?}");
    assert!(days.contains(&"7 2024-04-01 5.00".into()), "{days:?}");
    assert!(days.contains(&"7 2024-02-06 4.00".into()), "{days:?}");
    assert_snapshot!(project.rows("quarantine.orders", &["reason", "order_id", "amount"]).join("\n"), @"
    sale_set_aside 3 -30.00
    sale_set_aside R2 -3.00
    test_store 3 30.00
    test_store 4 9.00
    ");
}

/// Lines of a refund may carry the `line_id` of what came back: in parts, too.
#[test]
fn a_line_that_comes_back_may_carry_the_line_id_of_its_sale() {
    let project = Project::new();
    let rows = "\
        order_id,customer_id,ordered_at,amount,kind,line_id
        1,7,2024-01-05T10:00:00,60.00,sale,a
        1,7,2024-01-05T10:00:00,40.00,sale,b
        1,7,2024-01-05T10:00:00,40.00,sale,b
        1,7,2024-02-05T10:00:00,-10.00,refund,a
        1,7,2024-02-05T10:00:00,-10.00,refund,a
        1,7,2024-02-06T10:00:00,-10.00,refund,a
        1,7,2024-02-06T10:00:00,-40.00,refund,b";
    project.orders("orders/all.parquet", rows);
    pipeline(&project, "url: orders\nrows: lines", "facts.orders");
    project.run("2024-04-30");
    let orders = project.rows("facts.orders", &["order_id", "gross", "refunded", "net"]);
    assert_eq!(orders, ["1 100.00 60.00 40.00"]);
    let aside = project.rows("quarantine.orders", &["reason", "kind", "line_id"]);
    assert_eq!(aside, ["duplicate sale b", "duplicate refund a"]);
}

/// Shops that keep refunds as orders of their own leave their customer out: the sale
/// says who it was.
#[test]
fn a_refund_without_a_customer_is_of_the_customer_of_its_sale() {
    for rows in ["orders", "lines"] {
        let project = Project::new();
        let text = "\
            order_id,refund_of,customer_id,ordered_at,amount
            10,,ann,2024-01-05T10:00:00,50.00
            11,,bob,2024-01-06T10:00:00,30.00
            12,10,,2024-02-05T10:00:00,-20.00
            12,10,,2024-02-05T10:00:00,-20.00
            13,,,2024-02-06T10:00:00,-30.00
            14,99,,2024-02-07T10:00:00,-1.00
            15,11,,2024-06-07T10:00:00,-1.00
            16,17,,2024-02-07T10:00:00,-2.00
            17,,,2024-01-07T10:00:00,9.00";
        project.file("orders.csv", &text.replace("            ", ""));
        pipeline(&project, &format!("url: orders.csv\nformat: csv\nrows: {rows}"), "facts.orders");
        project.run("2024-04-30");
        let orders = project.rows("facts.orders", &["order_id", "customer_id", "refunded"]);
        let aside = project.rows("quarantine.orders", &["reason", "order_id"]);
        let expected: &[&str] = match rows {
            // Equal lines are real.
            "lines" => {
                assert_eq!(orders, ["10 ann 40.00", "11 bob 0.00"]);
                &[
                    "after_as_of 15",
                    "no_customer 13",
                    "no_customer 14",
                    "no_customer 16",
                    "no_customer 17",
                ]
            }
            _ => {
                assert_eq!(orders, ["10 ann 20.00", "11 bob 0.00"]);
                &[
                    "duplicate 12",
                    "no_customer 13",
                    "no_customer 14",
                    "no_customer 15",
                    "no_customer 17",
                    "sale_set_aside 16",
                ]
            }
        };
        assert_eq!(aside, expected, "{rows}");
    }
}

/// A refund that names a text where orders have numbers is told like any other id.
#[test]
fn what_a_refund_names_is_an_id_of_an_order() {
    let project = Project::new();
    let rows = "order_id,customer_id,ordered_at,amount\n1,7,2024-01-05T10:00:00,100.00";
    project.orders("orders/1.parquet", rows);
    let text = "order_id,customer_id,ordered_at,amount,refund_of\n2,7,2024-01-06T10:00:00,-1.00,x1";
    project.orders("orders/2.parquet", text);
    project.pipeline("facts.orders", "");
    let outcome = project.tenure(&["run", "pipelines/p.yaml", "--as-of", "2024-03-31"]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    let error = outcome.stderr.lines().skip_while(|line| !line.starts_with("error"));
    assert_snapshot!(error.collect::<Vec<_>>().join("\n"), @"
    error: `x1` in `refund_of` of source `orders` is not a whole number, as `order_id` is
    --> [TMP]/orders/2.parquet
     = column: refund_of
     = help: if it is one, map `order_id` of `orders` as a text, `cast(… as varchar)`; if not, `refund_of: try_cast(refund_of as bigint)`
    ");
}
