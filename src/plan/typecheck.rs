//! Planning every query against empty tables made from the headers it reads:
//! a type check of the whole project with no data and no credentials.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{MemorySchemaProvider, TableProvider};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, TableReference};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::sqlparser::tokenizer::{Location, Span};

use super::bounded;
use super::header::Column;
use super::keys::Independent;
use super::model::{Model, TableName};
use super::params::{Params, Values};
use super::sources::SOURCES;
use super::types::{ColumnType, IdType};
use crate::problem::{At, Problem, suggest};

/// The schemas a project has, in the order its layers read.
pub const SCHEMAS: [&str; 8] =
    ["sources", "staging", "facts", "metrics", "rules", "quarantine", "models", "ingest"];

/// A session that only plans.
pub fn session(config: SessionConfig) -> SessionContext {
    session_in(config, Arc::new(RuntimeEnv::default()))
}

/// A session with the settings every query of the project is planned with,
/// and its schemas empty.
pub fn session_in(mut config: SessionConfig, runtime: Arc<RuntimeEnv>) -> SessionContext {
    config.options_mut().sql_parser.collect_spans = true;
    let state = SessionStateBuilder::new_with_default_features()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_relation_planners(vec![Arc::new(Independent)])
        .build();
    let context = SessionContext::new_with_state(state);
    bounded::register(&context);
    // It drops sort keys by functional dependencies, which DataFusion 55 gets
    // wrong behind a join: `group by a, b order by a, b` sorts by `a` alone
    // where `a` was unique in one of the sides.
    context.remove_optimizer_rule("eliminate_duplicated_expr");
    if let Some(catalog) = context.catalog("datafusion") {
        for schema in SCHEMAS {
            // A fresh catalog takes any schema; the old one is none.
            let _ = catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()));
        }
    }
    context
}

/// The reference under which a session knows a table.
pub fn reference(name: &TableName) -> TableReference {
    TableReference::partial(name.schema.clone(), name.table.clone())
}

/// The Arrow schema a header declares.
pub fn declared_schema(columns: &[Column], id: IdType) -> SchemaRef {
    let fields: Vec<Field> = columns
        .iter()
        .map(|column| Field::new(&column.name.value, column.kind.arrow(id), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// Plans every model and compares it with its header, with ids of each of the
/// given types.
pub async fn check(
    models: &[&Model],
    params: &Params,
    values: &Values,
    ids: &[IdType],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for id in ids.iter().copied() {
        let context = session(SessionConfig::new());
        if let Err(error) = register(&context, models, id) {
            return vec![Problem::new("cannot set up the type check").causes(&error)];
        }
        // Each is planned by itself: all headers are known.
        let plans: Vec<_> =
            models.iter().map(|model| begin(&context, model, params, values)).collect();
        for (model, plan) in models.iter().zip(plans) {
            for problem in check_model(model, plan).await {
                // Most problems do not depend on what an id is.
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        }
        if !problems.is_empty() {
            break;
        }
    }
    problems
}

/// Makes every source and model known to a session as an empty table.
///
/// # Errors
/// A name stands twice.
pub fn register(
    context: &SessionContext,
    models: &[&Model],
    id: IdType,
) -> datafusion::error::Result<()> {
    let table = |schema| -> Arc<dyn TableProvider> { Arc::new(EmptyTable::new(schema)) };
    for source in SOURCES {
        let reference = TableReference::partial("sources", source.name);
        context.register_table(reference, table(source.schema(id)))?;
        let aside = source.aside().into_iter();
        let aside = aside.map(|(name, kind, _)| Field::new(name, kind.arrow(id), true));
        let reference = TableReference::partial("quarantine", source.name);
        let schema = Schema::new(aside.collect::<Vec<_>>());
        context.register_table(reference, table(Arc::new(schema)))?;
    }
    let is_table =
        |model: &&&Model| model.name.schema != "checks" && !model.header.columns.is_empty();
    for model in models.iter().filter(is_table) {
        let schema = declared_schema(&model.header.columns, id);
        context.register_table(reference(&model.name), table(schema))?;
    }
    Ok(())
}

async fn check_model(model: &Model, plan: Planning) -> Vec<Problem> {
    let plan = match end(model, plan).await {
        Ok(plan) => plan,
        Err(problem) => return vec![problem],
    };
    let mut problems = volatile_calls(&plan, model);
    if model.name.schema != "checks" {
        problems.extend(compare(model, plan.schema().as_arrow()));
    }
    problems
}

/// The analysed logical plan of a model.
///
/// # Errors
/// What the planner says, at its place in the file.
pub async fn plan(
    context: &SessionContext,
    model: &Model,
    params: &Params,
    values: &Values,
) -> Result<LogicalPlan, Problem> {
    end(model, begin(context, model, params, values)).await
}

/// A query that is being planned, beside whatever else the process does.
type Planning = SpawnedTask<datafusion::error::Result<LogicalPlan>>;

fn begin(context: &SessionContext, model: &Model, params: &Params, values: &Values) -> Planning {
    let (state, statement) = (context.state(), model.bind(params, values));
    SpawnedTask::spawn(async move {
        let plan = state.statement_to_plan(statement).await?;
        let options = Arc::clone(state.config_options());
        state.analyzer().execute_and_check(plan, &options, |_, _| {})
    })
}

async fn end(model: &Model, plan: Planning) -> Result<LogicalPlan, Problem> {
    let joined = plan.join().await;
    let plan = joined.unwrap_or_else(|error| Err(DataFusionError::External(error.into())));
    plan.map_err(|error| planner_problem(model, &error))
}

/// A planner's error in the user's terms, at its place.
pub fn planner_problem(model: &Model, error: &DataFusionError) -> Problem {
    let root = error.find_root();
    if let DataFusionError::SchemaError(schema_error, _) = root
        && let datafusion::common::SchemaError::FieldNotFound { field, valid_fields } =
            schema_error.as_ref()
    {
        let known: Vec<String> = valid_fields.iter().map(|column| column.name.clone()).collect();
        let message = format!("no column `{}`", field.flat_name());
        let at = diagnostic_place(model, error).unwrap_or_else(|| word(model, &field.name));
        return Problem::at(&at, message)
            .maybe_help(suggest(&field.name, known.iter().map(String::as_str)));
    }
    let text = error.strip_backtrace();
    let text = text.lines().next().unwrap_or_default();
    let text = ["Error during planning: ", "type_coercion", "caused by", "Schema error: "]
        .iter()
        .fold(text.to_string(), |text, noise| text.replace(noise, ""));
    let cause = root.strip_backtrace();
    let cause = cause.strip_prefix("Error during planning: ").unwrap_or(&cause);
    let at = diagnostic_place(model, error).unwrap_or_else(|| model.source.whole());
    // Which of its rules failed is the planner's business.
    let is_inner = text.trim().is_empty() || text.contains("Optimizer rule");
    let message = if is_inner { cause } else { text.trim() };
    Problem::at(&at, format!("`{}` does not plan: {message}", model.name))
}

fn diagnostic_place(model: &Model, error: &DataFusionError) -> Option<At> {
    let span = error.diagnostic()?.span?;
    let place = |location: datafusion::common::Location| Location {
        line: location.line,
        column: location.column,
    };
    Some(model.place(Span::new(place(span.start), place(span.end))))
}

/// The first place in the query where a word stands.
pub fn word(model: &Model, word: &str) -> At {
    let text = &model.source.text;
    let body = model.header.range.end.min(text.len());
    let found = text[body..].match_indices(word).map(|(index, _)| body + index).find(|start| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        !text[..*start].ends_with(is_part) && !text[start + word.len()..].starts_with(is_part)
    });
    found.map_or_else(|| model.source.whole(), |start| model.source.at(start..start + word.len()))
}

/// Functions whose result is not a function of the data and `$as_of`.
fn volatile_calls(plan: &LogicalPlan, model: &Model) -> Vec<Problem> {
    let mut calls: Vec<String> = Vec::new();
    let mut note = |name: &str| {
        if !calls.iter().any(|known| known == name) {
            calls.push(name.to_string());
        }
    };
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    Expr::ScalarFunction(call)
                        if call.func.signature().volatility != Volatility::Immutable =>
                    {
                        note(call.name());
                    }
                    Expr::AggregateFunction(call) if call.func.name().starts_with("approx_") => {
                        note(call.func.name());
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    calls.iter().map(|name| volatile(model, name)).collect()
}

/// Functions by the name that the planner gives them, and another.
const ALIASES: [(&str, &str); 2] = [("now", "current_timestamp"), ("current_date", "today")];

fn volatile(model: &Model, name: &str) -> Problem {
    // One function may have several names, of which the planner knows one.
    let names = [name]
        .into_iter()
        .chain(ALIASES.into_iter().filter_map(|(of, alias)| (of == name).then_some(alias)));
    let written = names.filter_map(|name| Some((name, model.call(name)?))).next();
    let (name, at) = written.unwrap_or_else(|| (name, model.source.whole()));
    let problem = Problem::at(&at, format!("`{name}` may not be used in a model"))
        .note("note", "the same orders and parameters must give the same table, on any day");
    match name {
        "now" | "current_date" | "current_time" | "current_timestamp" | "today" => {
            problem.help("the day is `$as_of`")
        }
        _ => problem,
    }
}

/// What the header says against what the query gives.
fn compare(model: &Model, planned: &Schema) -> Vec<Problem> {
    let header = &model.header;
    if header.columns.is_empty() {
        let message = format!("the header of `{}` describes no columns", model.name);
        return vec![Problem::at(&model.source.whole(), message).help(FIX)];
    }
    let mut problems = Vec::new();
    for column in &header.columns {
        let name = &column.name.value;
        match planned.column_with_name(name) {
            Some((_, field)) if !column.kind.accepts(field.data_type()) => {
                problems.push(disagree(model, column, field.data_type()));
            }
            Some(_) => {}
            None => {
                let known = planned.fields().iter().map(|field| field.name().as_str());
                let message = format!(
                    "the header of `{}` has a column `{name}`, the query has not",
                    model.name
                );
                problems
                    .push(Problem::at(&column.name.at, message).maybe_help(suggest(name, known)));
            }
        }
    }
    for field in planned.fields() {
        if !header.columns.iter().any(|column| column.name.value == *field.name()) {
            let message = format!(
                "the query of `{}` gives a column `{}` that its header does not describe",
                model.name,
                field.name()
            );
            let at = word(model, field.name());
            problems.push(Problem::at(&at, message).help(FIX));
        }
    }
    if problems.is_empty() {
        problems.extend(out_of_order(model, planned));
    }
    problems
}

const FIX: &str = "describe it, or let `tenure check --fix` write the header";

fn disagree(model: &Model, column: &Column, planned: &DataType) -> Problem {
    let (name, written) = (&column.name.value, column.kind.to_string());
    let planned = ColumnType::describe(planned);
    Problem::at(
        &column.name.at,
        format!("header and query of `{}` disagree on `{name}`", model.name),
    )
    .note("header", written)
    .note("query", planned.clone())
    .help(match ColumnType::parse(&planned) {
        Some(_) => "cast it in `final`, or correct the header (`tenure check --fix`)",
        None => "cast it in `final`: no header knows the type that the query gives",
    })
}

fn out_of_order(model: &Model, planned: &Schema) -> Option<Problem> {
    let columns = &model.header.columns;
    let (column, field) = columns
        .iter()
        .zip(planned.fields())
        .find(|(column, field)| column.name.value != *field.name())?;
    let message = format!(
        "the header of `{}` has `{}` where the query has `{}`",
        model.name,
        column.name.value,
        field.name()
    );
    Some(Problem::at(&column.name.at, message).help("put them in the same order"))
}
