//! The window functions there are: what each makes of a segment, batch after
//! batch.
//!
//! Some values are known at once (running aggregates, `lag`), others only when
//! rows of a later batch have been seen (`lead`, aggregates over the whole
//! segment). A [`Column`] takes batches in and gives columns out when it can.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{WindowFrame, WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::window::{
    PlainAggregateWindowExpr, SlidingAggregateWindowExpr, StandardWindowExpr, WindowExpr,
};
use datafusion::physical_plan::windows::WindowUDFExpr;

use super::bounds::Bounds;
use super::neighbours::{Lag, Lead, Sliding, Whole};
use super::running::{self, Count, Fold, Running};

/// One window function as it is computed here.
#[derive(Debug, Clone)]
pub struct Function {
    kind: Kind,
    /// What it is a function of; nothing for `row_number`.
    pub arguments: Vec<Arc<dyn PhysicalExpr>>,
    input: DataType,
    output: DataType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    RowNumber,
    Count(Reach),
    Fold(Fold, Reach),
    /// A sum over the rows whose key is at most so much smaller.
    Sliding(i64),
    Lag(Nulls),
    Lead(Nulls),
}

/// How far an aggregate looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// From the segment's first row to the current one.
    Running,
    /// Over all rows of the segment.
    Whole,
}

/// What `lag` and `lead` make of nulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// A null is a value like others.
    Respect,
    /// They are passed over.
    Ignore,
}

/// Takes the arguments of batch after batch, gives a column for each.
pub trait Column: Send {
    /// The next batch.
    ///
    /// # Errors
    /// The kernels of Arrow refuse the type.
    fn push(&mut self, arguments: &[ArrayRef], bounds: &Bounds) -> Result<(), ArrowError>;

    /// There is no further batch.
    ///
    /// # Errors
    /// The kernels of Arrow refuse the type.
    fn finish(&mut self) -> Result<(), ArrowError>;

    /// Columns that are complete, the oldest batch first.
    fn done(&mut self) -> &mut VecDeque<ArrayRef>;
}

impl Function {
    /// Recognises a window function that can be computed here.
    pub fn of(window: &dyn WindowExpr, input: &Schema) -> Option<Self> {
        let output = window.field().ok()?.data_type().clone();
        let any = window.as_any();
        let kind = if let Some(standard) = any.downcast_ref::<StandardWindowExpr>() {
            positional(standard.get_standard_func_expr().as_any().downcast_ref()?)?
        } else if let Some(moving) = any.downcast_ref::<SlidingAggregateWindowExpr>() {
            sliding(moving)?
        } else {
            aggregate(any.downcast_ref()?)?
        };
        let arguments = match (kind, window.expressions().as_slice()) {
            (Kind::RowNumber, []) => Vec::new(),
            (Kind::RowNumber, _) => return None,
            (Kind::Sliding(_), [argument]) => {
                vec![Arc::clone(argument), sliding_key(window, input)?]
            }
            (_, [argument]) => vec![Arc::clone(argument)],
            _ => return None,
        };
        let input = match arguments.first() {
            Some(argument) => argument.data_type(input).ok()?,
            None => DataType::Null,
        };
        let function = Self { kind, arguments, input, output };
        function.column().is_some().then_some(function)
    }

    /// The state that computes it; none if there is no such for its type.
    pub fn column(&self) -> Option<Box<dyn Column>> {
        let (running, reach): (Box<dyn Running>, Reach) = match self.kind {
            Kind::RowNumber if self.output == DataType::UInt64 => {
                return Some(Box::new(AtOnce::new(RowNumber(Count::default()))));
            }
            Kind::RowNumber => return None,
            Kind::Lag(nulls) => return Some(Box::new(AtOnce::new(Lag::new(nulls)))),
            Kind::Lead(nulls) => return Some(Box::new(Lead::new(nulls))),
            Kind::Sliding(preceding) => {
                let sliding = Sliding::new(preceding, &self.input, &self.output)?;
                return Some(Box::new(sliding));
            }
            Kind::Count(reach) => (Box::new(Count::default()), reach),
            Kind::Fold(fold, reach) => (running::fold(fold, &self.input, &self.output)?, reach),
        };
        Some(match reach {
            Reach::Running => Box::new(AtOnce::new(running)),
            Reach::Whole => Box::new(Whole::new(running)),
        })
    }
}

/// `lag`, `lead` and `row_number`.
fn positional(expression: &WindowUDFExpr) -> Option<Kind> {
    // Whether nulls are passed over is told by nothing but the expression's
    // `Debug`; a test holds on to its form.
    let debug = format!("{expression:?}");
    let nulls = if debug.ends_with("is_reversed: false, ignore_nulls: false }") {
        Nulls::Respect
    } else if debug.ends_with("is_reversed: false, ignore_nulls: true }") {
        Nulls::Ignore
    } else {
        return None;
    };
    match (expression.fun().name(), expression.args().len()) {
        ("row_number", 0) => Some(Kind::RowNumber),
        // A second argument is another distance, a third a default.
        ("lag", 1) => Some(Kind::Lag(nulls)),
        ("lead", 1) => Some(Kind::Lead(nulls)),
        _ => None,
    }
}

fn aggregate(expression: &PlainAggregateWindowExpr) -> Option<Kind> {
    let reach = reach(expression.get_window_frame(), expression.order_by().is_empty())?;
    // As above: nothing else tells whether there is a filter.
    if !format!("{expression:?}").ends_with("filter: None }") {
        return None;
    }
    let name = plain(expression.get_aggregate_expr())?;
    match name {
        "count" => Some(Kind::Count(reach)),
        "sum" => Some(Kind::Fold(Fold::Sum, reach)),
        "min" => Some(Kind::Fold(Fold::Min, reach)),
        "max" => Some(Kind::Fold(Fold::Max, reach)),
        _ => None,
    }
}

/// A sum over a frame that moves: `range between n preceding and current row`.
fn sliding(expression: &SlidingAggregateWindowExpr) -> Option<Kind> {
    let frame = expression.get_window_frame();
    let WindowFrameBound::Preceding(preceding) = &frame.start_bound else { return None };
    let to_now = matches!(frame.end_bound, WindowFrameBound::CurrentRow);
    let ScalarValue::Int64(Some(preceding)) = preceding.cast_to(&DataType::Int64).ok()? else {
        return None;
    };
    let fits = to_now
        && frame.units == WindowFrameUnits::Range
        && format!("{expression:?}").ends_with("filter: None }")
        && plain(expression.get_aggregate_expr())? == "sum";
    fits.then_some(Kind::Sliding(preceding))
}

/// The name of an aggregate that is nothing but that.
fn plain(aggregate: &AggregateFunctionExpr) -> Option<&str> {
    (!aggregate.is_distinct() && !aggregate.ignore_nulls()).then(|| aggregate.fun().name())
}

/// The key by which a frame moves: one, a bigint, ascending.
fn sliding_key(window: &dyn WindowExpr, input: &Schema) -> Option<Arc<dyn PhysicalExpr>> {
    let [key] = window.order_by() else { return None };
    let bigint = key.expr.data_type(input).ok()? == DataType::Int64;
    (bigint && !key.options.descending).then(|| Arc::clone(&key.expr))
}

fn reach(frame: &WindowFrame, unordered: bool) -> Option<Reach> {
    if !frame.start_bound.is_unbounded() {
        return None;
    }
    match (&frame.end_bound, frame.units) {
        (end, _) if end.is_unbounded() => Some(Reach::Whole),
        (WindowFrameBound::CurrentRow, WindowFrameUnits::Rows) => Some(Reach::Running),
        (WindowFrameBound::CurrentRow, WindowFrameUnits::Range) if unordered => Some(Reach::Whole),
        _ => None,
    }
}

/// A column that is known as soon as its batch is.
struct AtOnce<S> {
    step: S,
    done: VecDeque<ArrayRef>,
}

impl<S> AtOnce<S> {
    fn new(step: S) -> Self {
        Self { step, done: VecDeque::new() }
    }
}

/// One batch in, one column out.
pub trait Step: Send {
    /// The column of the next batch.
    ///
    /// # Errors
    /// The kernels of Arrow refuse the type.
    fn step(&mut self, arguments: &[ArrayRef], bounds: &Bounds) -> Result<ArrayRef, ArrowError>;
}

impl<S: Step> Column for AtOnce<S> {
    fn push(&mut self, arguments: &[ArrayRef], bounds: &Bounds) -> Result<(), ArrowError> {
        self.done.push_back(self.step.step(arguments, bounds)?);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        Ok(())
    }

    fn done(&mut self) -> &mut VecDeque<ArrayRef> {
        &mut self.done
    }
}

impl Step for Box<dyn Running> {
    fn step(&mut self, arguments: &[ArrayRef], bounds: &Bounds) -> Result<ArrayRef, ArrowError> {
        Ok(self.next(&arguments[0], bounds))
    }
}

struct RowNumber(Count);

impl Step for RowNumber {
    fn step(&mut self, _arguments: &[ArrayRef], bounds: &Bounds) -> Result<ArrayRef, ArrowError> {
        let every: ArrayRef = Arc::new(Int64Array::from(vec![0; bounds.rows]));
        arrow::compute::cast(&self.0.next(&every, bounds), &DataType::UInt64)
    }
}
