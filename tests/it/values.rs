//! What customers are worth where averages mislead: giants, young customers,
//! young shops; and money that came back.

use std::fmt::Write;

use crate::project::Project;

const AS_OF: &str = "2024-12-31";

/// A day some days before [`AS_OF`].
fn days_ago(days: i64) -> String {
    let as_of: chrono::NaiveDate = AS_OF.parse().expect("a day");
    (as_of - chrono::Duration::days(days)).to_string()
}

/// Orders, a line each.
struct Orders(String);

impl Orders {
    fn new() -> Self {
        Self("order_id,customer_id,ordered_at,amount\n".into())
    }

    fn add(&mut self, customer: &str, days: i64, amount: &str) -> &mut Self {
        let number = self.0.lines().count();
        writeln!(self.0, "o{number},{customer},{}T12:00:00,{amount}", days_ago(days))
            .expect("a text");
        self
    }

    fn run(&self, customers: &str, tables: &str) -> Project {
        let project = Project::new();
        let sources = match customers {
            "" => String::new(),
            customers => {
                project.orders("customers.parquet", customers);
                "  customers: { url: customers.parquet }\n".into()
            }
        };
        project.orders("orders/o.parquet", &self.0).file(
            "pipelines/p.yaml",
            &format!(
                "pipeline: p\nparams:\n  retention_rate: 0.5\nsources:\n  orders: {{ url: orders \
                 }}\n{sources}tables: [{tables}]\npublish: {{ url: out }}\n"
            ),
        );
        project.run(AS_OF);
        project
    }
}

fn year_of(project: &Project, customer: &str) -> (f64, String) {
    let rows = project.rows("metrics.customer_value", &["customer_id", "yearly_margin", "basis"]);
    let row = rows.iter().find(|row| row.split(' ').next() == Some(customer)).expect("a customer");
    let mut cells = row.split(' ').skip(1);
    let year = cells.next().expect("money").parse().expect("money");
    (year, cells.next().expect("a basis").to_string())
}

/// A hundred old customers of whom every second is back once for 20, and a giant
/// with a million: the young are not all giants.
fn with_a_giant() -> Orders {
    let mut orders = Orders::new();
    for number in 0..100 {
        let customer = format!("c{number:03}");
        orders.add(&customer, 800, "50");
        if number % 2 == 0 {
            orders.add(&customer, 700, "20");
        }
    }
    orders.add("giant", 800, "1000000").add("giant", 600, "1000000");
    orders
}

#[test]
fn one_giant_makes_nobody_else_rich() {
    let mut orders = with_a_giant();
    orders.add("young", 73, "30").add("today", 0, "30");
    let project = orders.run("", "metrics.customer_value");
    // 101 customers: the 95 % quantile of their returns is 20; 51 reach it.
    let shop = 20.0 * 51.0 / 101.0;
    let (young, basis) = year_of(&project, "young");
    assert_eq!((format!("{young:.2}"), &*basis), (format!("{:.2}", shop * 0.8), "blended"));
    assert_eq!(format!("{:.2}", year_of(&project, "today").0), format!("{shop:.2}"));
    assert_eq!(year_of(&project, "giant"), (0.0, "own".into()));
}

/// What a customer brings after the first day counts at once; at 365 days nothing
/// but that is left, and a day makes no step.
#[test]
fn there_is_no_cliff_at_a_year() {
    let mut orders = with_a_giant();
    for (customer, age) in [("d363", 363), ("d364", 364), ("d365", 365), ("d366", 366)] {
        orders.add(customer, age, "500").add(customer, 100, "40");
    }
    // The first day's second order is of the first day; its refund goes with it.
    orders.add("first", 100, "500").add("first", 100, "70").add("first", 50, "-70");
    let project = orders.run("", "metrics.customer_value");
    let years = ["d363", "d364", "d365", "d366"].map(|customer| year_of(&project, customer));
    let shop = years[1].0 - 40.0;
    assert!(shop > 0.0 && shop < 0.05, "{years:?}");
    assert!((years[0].0 - 40.0 - 2.0 * shop).abs() < 0.011, "{years:?}");
    assert_eq!(years[2], (40.0, "own".into()));
    assert_eq!(years[3], (40.0, "own".into()));
    let first = year_of(&project, "first").0;
    assert!(first > 0.0 && first < 20.0, "{first}");
}

/// Thirty of a channel are enough to be compared with it; 29 are not. What is not
/// known is a channel, too.
#[test]
fn a_channel_of_thirty_speaks_for_itself() {
    let mut orders = Orders::new();
    let mut customers = String::from("customer_id,channel\n");
    for (channel, people, back) in [("many", 30, "100"), ("few", 29, "10"), ("", 30, "1")] {
        for number in 0..people {
            let customer = format!("{channel}{number:02}");
            writeln!(customers, "{customer},{channel}").expect("a text");
            orders.add(&customer, 500, "50").add(&customer, 400, back);
        }
        writeln!(customers, "new_{channel},{channel}").expect("a text");
        orders.add(&format!("new_{channel}"), 0, "50");
    }
    let project = orders.run(&customers, "metrics.customer_value, facts.first_years");
    assert_eq!(year_of(&project, "new_many").0, 100.0);
    let all = (30.0 * 100.0 + 29.0 * 10.0 + 30.0) / 89.0;
    assert_eq!(format!("{:.2}", year_of(&project, "new_few").0), format!("{all:.2}"));
    assert_eq!(year_of(&project, "new_").0, 1.0);
    let years = project.rows("facts.first_years", &["scope_value", "customers"]);
    assert_eq!(years, ["all 89", "few 29", "many 30", "unknown 30"]);
}

#[test]
fn where_nobody_was_observed_for_a_year_only_what_came_counts() {
    let mut orders = Orders::new();
    orders.add("her", 90, "50").add("her", 30, "20").add("him", 10, "50");
    let project = orders.run("", "metrics.customer_value");
    assert_eq!(year_of(&project, "her"), (20.0, "blended".into()));
    assert_eq!(year_of(&project, "him"), (0.0, "blended".into()));
}

/// A shop of 90 days: a customer is worth no less than what has come.
#[test]
fn in_a_young_shop_time_counts_once() {
    let mut orders = Orders::new();
    let mut customers = String::from("customer_id,acquisition_cost\n");
    for number in 0..20 {
        let customer = format!("c{number:02}");
        writeln!(customers, "{customer},15").expect("a text");
        orders.add(&customer, 90 - number * 2, "50");
        if number % 2 == 0 {
            orders.add(&customer, 40, "50");
        }
    }
    let project = orders.run(&customers, "metrics.value_formulas");
    let all = |columns: &[&str]| project.rows("metrics.value_formulas", columns)[0].clone();
    assert_eq!(all(&["customers", "orders", "customer_value", "mean_net"]), "20 30 75.00 75.00");
    // 30 orders of 50 in 20 × 71 days, for a mean life of 71 days.
    assert_eq!(all(&["ltv", "cac", "ltv_cac_ratio", "meets_3x"]), "75.00 15.00 5.0 true");
    let yearly: f64 = all(&["yearly_frequency"]).parse().expect("a number");
    assert!((yearly - 30.0 * 365.0 / (20.0 * 71.0)).abs() < 1e-9, "{yearly}");
}

/// Who came yesterday has not been observed for a month, and does not order 365
/// times a year; who left long ago still counts for the life of a customer.
#[test]
fn days_of_history_foretell_no_years_of_orders() {
    let mut orders = Orders::new();
    orders.add("her", 1, "50");
    let project = orders.run("", "metrics.value_formulas");
    let columns = ["yearly_frequency", "lifespan_years", "ltv"];
    let row = project.rows("metrics.value_formulas", &columns)[0].clone();
    assert!(row.starts_with("12.1666") && row.ends_with(" 50.00"), "{row}");

    orders.add("gone", 1000, "80");
    let project = orders.run("", "metrics.value_formulas");
    let columns = ["scope_value", "customers", "buyers", "orders", "ltv", "mean_net"];
    let rows = project.rows("metrics.value_formulas", &columns);
    // 50 × 12.17 × (1000 + 30) / 2 / 365 years.
    assert!(rows.contains(&"all 2 1 1 858.33 65.00".to_string()), "{rows:?}");
    assert!(rows.contains(&"2022 1 0 0 80.00 80.00".to_string()), "{rows:?}");
}

/// A refund two months later lowers the period of its sale or its own: both are
/// there, by attribute, too.
#[test]
fn revenue_is_told_by_booking_and_by_order() {
    let project = Project::new();
    let rows = "order_id,customer_id,ordered_at,amount,channel\n\
                1,a,2025-01-05T10:00:00,100,web\n\
                2,b,2025-01-08T10:00:00,50,web\n\
                3,a,2025-02-05T10:00:00,80,shop\n\
                4,a,2025-03-20T10:00:00,-80,\n";
    project.orders("orders/o.parquet", rows).pipeline(
        "metrics.cohort_retention, metrics.cohort_retention_by_attribute, \
         metrics.repurchase_summary",
        "",
    );
    project.run("2025-04-30");
    let columns = ["revenue", "order_revenue"];
    let expected = ["150.00 150.00", "80.00 0.00", "-80.00 0.00", "0.00 0.00"];
    assert_eq!(project.rows("metrics.cohort_retention", &columns), expected);
    assert_eq!(project.rows("metrics.cohort_retention_by_attribute", &columns), expected);
    let revenue = project.rows("metrics.repurchase_summary", &["revenue"]);
    assert_eq!(revenue, ["150.00", "150.00", "0.00", "0.00", "0.00"]);
}

/// Of four customers of January one bought before it, and three have an order that
/// is not their first.
#[test]
fn a_customer_can_return_in_the_month_they_came() {
    let project = Project::new();
    let rows = "order_id,customer_id,ordered_at,amount\n\
                1,a,2025-01-03T10:00:00,10\n\
                2,a,2025-01-20T10:00:00,10\n\
                3,b,2024-12-05T10:00:00,10\n\
                4,b,2025-01-05T10:00:00,10\n\
                5,c,2025-01-09T10:00:00,10\n\
                6,d,2025-01-30T10:00:00,10\n\
                7,d,2025-01-30T10:00:00,10\n";
    project.orders("orders/o.parquet", rows).pipeline("metrics.repurchase_summary", "");
    project.run("2025-01-31");
    let columns = [
        "new_customers",
        "returning_customers",
        "returning_share",
        "reordering_customers",
        "returning_customer_rate",
    ];
    assert_eq!(
        project.rows("metrics.repurchase_summary", &columns),
        ["4 null null null null", "1 0 0.0 0 0.0", "3 1 0.25 3 0.75"]
    );
}
