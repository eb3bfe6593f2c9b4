//! What the parser or the planner take otherwise than they should, put right or
//! refused before anything is planned.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Query, SetExpr, Spanned as _, Statement, Visit, VisitMut,
    VisitorMut, visit_expressions,
};
use datafusion::sql::sqlparser::tokenizer::Span;

/// What is said of an expression that [`swallowing`] finds.
pub const SWALLOWED: &str = "`is distinct from` takes the `and` or `or` behind it along: put it \
                             in parentheses, `(a is distinct from b) and …`";

/// Where `is [not] distinct from` would be about all that follows it. The parser reads
/// `a is distinct from b and c` as `a is distinct from (b and c)`.
pub fn swallowing(sql: &impl Visit) -> Option<Span> {
    let mut found = None;
    let _ = visit_expressions(sql, |expr| {
        if let Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) = expr
            && let Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. } =
                right.as_ref()
        {
            found = Some(expr.span());
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    found
}

/// Groups by each key once: the planner breaks down over one that stands twice.
pub fn group_once(statement: &mut Statement) {
    let _ = VisitMut::visit(statement, &mut Once);
}

struct Once;

impl VisitorMut for Once {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        once(&mut query.body);
        ControlFlow::Continue(())
    }
}

/// Queries in parentheses are visited by themselves.
fn once(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
                let mut seen: Vec<Expr> = Vec::new();
                keys.retain(|key| {
                    let is_new = !seen.contains(key);
                    seen.push(key.clone());
                    is_new
                });
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            once(left);
            once(right);
        }
        _ => {}
    }
}
