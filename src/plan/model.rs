//! One `.sql` file: its name (the path), its header, and its one query.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, ObjectName, Spanned as _, Value, ValueWithSpan, VisitMut,
    VisitorMut, WindowFrameBound, WindowType, visit_expressions, visit_relations,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::Span;

use super::header::{self, Header};
use super::params::{ParamValue, Params, Values};
use super::spec::Spanned;
use super::{limits, pitfalls, unheeded};
use crate::problem::{At, Problem, Source};

/// `schema.table`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The folder.
    pub schema: String,
    /// The file without `.sql`.
    pub table: String,
}

impl TableName {
    /// Reads `schema.table`.
    pub fn parse(text: &str) -> Option<Self> {
        let (schema, table) = text.split_once('.')?;
        (!schema.is_empty() && !table.is_empty() && !table.contains('.'))
            .then(|| Self { schema: schema.into(), table: table.into() })
    }

    /// Whether a word names it, with or without its schema.
    pub fn is_meant_by(&self, word: &str) -> bool {
        word == self.table || word.split_once('.') == Some((&self.schema, &self.table))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// A model as understood.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its name, from the path.
    pub name: TableName,
    /// The file.
    pub source: Arc<Source>,
    /// What its header says.
    pub header: Header,
    /// Its query, placeholders still in it.
    pub statement: Statement,
    /// The tables it reads, each once, where it first does.
    pub tables: Vec<Spanned<TableName>>,
    /// The parameters it uses, each once, where it first does.
    pub placeholders: Vec<Spanned<String>>,
}

/// Reads a model. Problems of the header and of the query come together.
pub fn read(name: TableName, source: &Arc<Source>) -> (Option<Model>, Vec<Problem>) {
    let (header, mut problems) = header::read(source);
    match &header.name {
        Some(written) if written.value != name.to_string() => problems.push(
            Problem::at(
                &written.at,
                format!("the header of `{name}` names it `{}`", written.value),
            )
            .help("the path is the name; correct the header"),
        ),
        Some(_) => {}
        None if problems.is_empty() => problems.push(
            Problem::at(&source.whole(), format!("`{name}` has no header")).help(format!(
                "begin the file with `-- {name}: what it says`, or let `tenure check --fix` \
                     write one"
            )),
        ),
        None => {}
    }
    let statement = match parse(source) {
        Ok(statement) => statement,
        Err(problem) => {
            problems.push(problem);
            return (None, problems);
        }
    };
    let tables = tables(&statement, source, &mut problems);
    let placeholders = placeholders(&statement, source);
    let model = Model { name, source: Arc::clone(source), header, statement, tables, placeholders };
    (Some(model), problems)
}

impl Model {
    /// The query with every placeholder replaced by its value.
    pub fn bind(&self, params: &Params, values: &Values) -> Statement {
        let mut statement = self.statement.clone();
        if let Statement::Statement(inner) = &mut statement {
            let _ = inner.visit(&mut Binder { params, values });
        }
        statement
    }

    /// The place of a span of the query.
    pub fn place(&self, span: Span) -> At {
        at(&self.source, span)
    }

    /// Where the query calls a function, if it does.
    pub fn call(&self, function: &str) -> Option<At> {
        let mut found = None;
        if let Statement::Statement(statement) = &self.statement {
            let _ = visit_expressions(statement.as_ref(), |expr| {
                if let Expr::Function(call) = expr
                    && call.name.to_string().eq_ignore_ascii_case(function)
                {
                    found = Some(at(&self.source, call.name.span()));
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
        }
        found
    }
}

/// The place of a parser's span: lines and columns, the end inclusive of the
/// last character or exclusive, as the parser happens to say.
pub fn at(source: &Arc<Source>, span: Span) -> At {
    if span.start.line == 0 {
        return source.whole();
    }
    let start = source.offset(span.start.line as usize, span.start.column as usize);
    let end = source.offset(span.end.line as usize, span.end.column as usize);
    match end > start {
        true => source.at(start..end),
        false => source.character(start),
    }
}

fn parse(source: &Arc<Source>) -> Result<Statement, Problem> {
    let dialect = GenericDialect {};
    // As wide as the mark, for places are in characters.
    let text = source.text.replacen(header::BYTE_ORDER_MARK, " ", usize::from(is_marked(source)));
    if let Some((span, message)) = limits::exceeded(&text) {
        return Err(Problem::at(&at(source, span), message));
    }
    let statements = DFParserBuilder::new(text.as_str())
        .with_dialect(&dialect)
        .build()
        .and_then(|mut parser| parser.parse_statements());
    let mut statements = statements.map_err(|error| syntax(source, &error.to_string()))?;
    if statements.len() > 1 {
        let message = format!("a model is one query, but here are {} statements", statements.len());
        return Err(Problem::at(&source.at(body(source)), message));
    }
    match statements.pop_front() {
        Some(Statement::Statement(mut inner)) if matches!(*inner, ast::Statement::Query(_)) => {
            written_by(&inner, source)?;
            if let Some(span) = pitfalls::swallowing(inner.as_ref()) {
                return Err(Problem::at(&at(source, span), pitfalls::SWALLOWED));
            }
            if let Some(found) = unheeded::unheeded(inner.as_ref()) {
                let (span, message) = found.told(&text);
                return Err(Problem::at(&at(source, span), message).help(found.help));
            }
            pitfalls::group_once(&mut inner);
            Ok(Statement::Statement(inner))
        }
        Some(other) => Err(not_a_query(source, &other)),
        None => Err(Problem::at(&source.whole(), "the file has no query")),
    }
}

fn is_marked(source: &Source) -> bool {
    source.text.starts_with(header::BYTE_ORDER_MARK)
}

/// A query may hide a writing statement: `with x as (insert …)`.
fn written_by(statement: &ast::Statement, source: &Arc<Source>) -> Result<(), Problem> {
    let ast::Statement::Query(query) = statement else { return Ok(()) };
    match query.body.as_ref() {
        ast::SetExpr::Insert(_)
        | ast::SetExpr::Update(_)
        | ast::SetExpr::Delete(_)
        | ast::SetExpr::Merge(_) => {
            Err(not_a_query(source, &Statement::Statement(Box::new(statement.clone()))))
        }
        _ => Ok(()),
    }
}

fn not_a_query(source: &Arc<Source>, statement: &Statement) -> Problem {
    let text = statement.to_string();
    let verb = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    Problem::at(&source.at(body(source)), format!("a model is a query, but this is `{verb}`"))
        .note("note", "tenure writes the table; the file only says what is in it")
        .help("begin with `select` or `with`")
}

/// The first line after the header.
fn body(source: &Source) -> Range<usize> {
    let mut offset = 0;
    for line in source.text.split_inclusive('\n') {
        let text = line.trim();
        if !text.is_empty() && !text.starts_with("--") {
            return offset..offset + line.trim_end().len();
        }
        offset += line.len();
    }
    0..0
}

/// A parser's error: its message ends in ` at Line: 3, Column: 7`.
pub fn syntax(source: &Arc<Source>, error: &str) -> Problem {
    if error.to_lowercase().replace(' ', "").contains("recursionlimit") {
        return Problem::at(&source.at(body(source)), "the query is nested too deep to be read")
            .help("give its inner parts names, in `with … as (…)` or in models of their own");
    }
    let error = error.strip_prefix("SQL error: ").unwrap_or(error);
    let inner = error.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
    let error = inner.map_or(error, |(text, _)| text).replace("\\\"", "\"");
    let (message, place) = match error.split_once(" at Line: ") {
        Some((message, place)) => (message.to_string(), Some(place.to_string())),
        None => (error, None),
    };
    let numbers = place.and_then(|place| {
        let (line, column) = place.split_once(", Column: ")?;
        let digits: String = column.chars().take_while(char::is_ascii_digit).collect();
        Some((line.parse().ok()?, digits.parse().ok()?))
    });
    let at = numbers.map_or_else(
        || source.at(source.text.len()..source.text.len()),
        |(line, column)| {
            let start = source.offset(line, column);
            let word = source.text[start..].find(|c: char| c.is_whitespace() || c == ',');
            match word.unwrap_or(0) {
                0 => source.character(start),
                length => source.at(start..start + length),
            }
        },
    );
    Problem::at(&at, format!("not valid SQL: {}", decapitalised(&message)))
}

fn decapitalised(message: &str) -> String {
    let mut characters = message.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

fn tables(
    statement: &Statement,
    source: &Arc<Source>,
    problems: &mut Vec<Problem>,
) -> Vec<Spanned<TableName>> {
    let Statement::Statement(inner) = statement else { return Vec::new() };
    let Ok((references, _ctes)) = resolve_table_references(statement, true) else {
        return Vec::new();
    };
    // What the query calls its own (CTEs) is not among the references.
    let real: BTreeSet<String> = references.iter().map(ToString::to_string).collect();
    let mut tables: Vec<Spanned<TableName>> = Vec::new();
    let mut seen = BTreeSet::new();
    let _ = visit_relations(inner.as_ref(), |relation: &ObjectName| {
        let text = relation.to_string().to_lowercase();
        if real.contains(&text) && seen.insert(text.clone()) {
            let at = at(source, relation.span());
            match TableName::parse(&text) {
                Some(value) => tables.push(Spanned { value, at }),
                None => problems.push(
                    Problem::at(&at, format!("`{text}` is not a table of this project"))
                        .help("tables are named `schema.table`, such as `facts.orders`"),
                ),
            }
        }
        ControlFlow::<()>::Continue(())
    });
    tables
}

fn placeholders(statement: &Statement, source: &Arc<Source>) -> Vec<Spanned<String>> {
    let Statement::Statement(inner) = statement else { return Vec::new() };
    let mut found: Vec<Spanned<String>> = Vec::new();
    let _ = visit_expressions(inner.as_ref(), |expr| {
        if let Expr::Value(ValueWithSpan { value: Value::Placeholder(name), span }) = expr {
            let name = name.trim_start_matches('$');
            if !found.iter().any(|known| known.value == name) {
                found.push(Spanned { value: name.into(), at: at(source, *span) });
            }
        }
        ControlFlow::<()>::Continue(())
    });
    found
}

struct Binder<'a> {
    params: &'a Params,
    values: &'a Values,
}

impl Binder<'_> {
    /// A whole number, a parameter that is one, or a sum or difference of such.
    fn number(&self, expr: &Expr) -> Option<i64> {
        match expr {
            Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => {
                digits.parse().ok()
            }
            Expr::Value(ValueWithSpan { value: Value::Placeholder(name), .. }) => {
                match self.values.get(name.trim_start_matches('$'))? {
                    ParamValue::Int(number) => Some(*number),
                    _ => None,
                }
            }
            Expr::BinaryOp { left, op: BinaryOperator::Plus, right } => {
                self.number(left)?.checked_add(self.number(right)?)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Minus, right } => {
                self.number(left)?.checked_sub(self.number(right)?)
            }
            _ => None,
        }
    }
}

impl VisitorMut for Binder<'_> {
    type Break = ();

    // A window frame takes plain numbers only.
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(call) = expr
            && let Some(WindowType::WindowSpec(window)) = &mut call.over
            && let Some(frame) = &mut window.window_frame
        {
            for bound in std::iter::once(&mut frame.start_bound).chain(&mut frame.end_bound) {
                if let WindowFrameBound::Preceding(Some(rows))
                | WindowFrameBound::Following(Some(rows)) = bound
                    && let Some(number) = self.number(rows)
                {
                    let value = Value::Number(number.to_string(), false);
                    **rows = Expr::Value(value.with_empty_span());
                }
            }
        }
        ControlFlow::Continue(())
    }

    // After, not before: what is put in needs no second visit.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(ValueWithSpan { value: Value::Placeholder(name), .. }) = expr {
            let name = name.trim_start_matches('$');
            if let (Some(param), Some(value)) = (self.params.get(name), self.values.get(name)) {
                *expr = param.kind.literal(value);
            }
        }
        ControlFlow::Continue(())
    }
}
