//! How often a query reads a table. DataFusion computes a CTE again wherever it
//! is named, and with it all that it reads.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, ObjectName, Query, Visit, visit_relations};

use super::model::{Model, TableName};

impl Model {
    /// How often the query reads a table: once for each place that names it, and
    /// those in a CTE as often as that is named, though once if it is not: such a
    /// CTE is planned all the same.
    pub fn uses(&self, table: &TableName) -> usize {
        let is_read = self.tables.iter().any(|read| read.value == *table);
        match &self.statement {
            Statement::Statement(inner) if is_read => match inner.as_ref() {
                ast::Statement::Query(query) => in_query(query, BTreeMap::new(), table).max(1),
                _ => 0,
            },
            _ => 0,
        }
    }
}

/// `known` are the CTEs that the query can name, and how often each reads it.
fn in_query(query: &Query, mut known: BTreeMap<String, usize>, table: &TableName) -> usize {
    for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
        let uses = in_query(&cte.query, known.clone(), table);
        known.insert(cte.alias.name.value.to_lowercase(), uses);
    }
    in_body(query.body.as_ref(), &known, table)
}

fn in_body(body: &impl Visit, known: &BTreeMap<String, usize>, table: &TableName) -> usize {
    let table = table.to_string();
    let mut uses = 0;
    let _ = visit_relations(body, |relation: &ObjectName| {
        let name = relation.to_string().to_lowercase();
        uses += if name == table { 1 } else { known.get(&name).copied().unwrap_or(0) };
        ControlFlow::<()>::Continue(())
    });
    uses
}

#[cfg(test)]
mod tests {
    use super::super::model;
    use super::*;
    use crate::problem::Source;

    fn uses(query: &str) -> usize {
        let text = format!("-- metrics.x: x\n--\n-- grain   a\n-- reads   facts.t\n--\n{query}\n");
        let name = TableName::parse("metrics.x").expect("sound");
        let (model, _) = model::read(name, &Source::new("x.sql", text));
        model.expect("sound").uses(&TableName::parse("facts.t").expect("sound"))
    }

    #[test]
    fn a_cte_reads_as_often_as_it_is_named() {
        assert_eq!(uses("select a from facts.t"), 1);
        assert_eq!(uses("select a from facts.T union all select a from facts.t"), 2);
        assert_eq!(uses("with t as (select a from facts.t) select 1 as a"), 1);
        assert_eq!(uses("select 1 as a from facts.other"), 0);
        assert_eq!(
            uses(
                "with t as (select a from facts.t), u as (select * from t cross join t as t2) \
                  select * from u union all select * from t"
            ),
            3
        );
        assert_eq!(uses("with u as (with t as (select a) select * from t) select * from u"), 0);
        assert_eq!(uses("select (select max(a) from facts.t) as a"), 1);
    }
}
