//! The window functions there are: what each makes of a segment, batch after
//! batch.
//!
//! Some values are known at once (running aggregates, `lag`), others only when
//! rows of a later batch have been seen (`lead`, aggregates over the whole
//! segment). A [`Column`] takes batches in and gives columns out when it can.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat, interleave, nullif};
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

use super::bounds::{Bounds, Finder, one_row};
use super::running::{self, Count, Fold, MovingSum, Running};

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Respect,
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
            Kind::Lag(nulls) => return Some(Box::new(AtOnce::new(Lag { nulls, last: None }))),
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
            Reach::Whole => Box::new(Whole { running, at_end: AtEnd(Waiting::new()) }),
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
trait Step: Send {
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

/// The value of the row before, within the segment.
struct Lag {
    nulls: Nulls,
    /// What the first row of the next batch sees, if it carries on.
    last: Option<ArrayRef>,
}

impl Step for Lag {
    fn step(&mut self, arguments: &[ArrayRef], bounds: &Bounds) -> Result<ArrayRef, ArrowError> {
        let (argument, last) = (&arguments[0], bounds.rows - 1);
        if self.nulls == Nulls::Respect || argument.logical_null_count() == 0 {
            let before = self.last.take().unwrap_or_else(|| null_like(argument));
            let shifted = concat(&[before.as_ref(), argument.slice(0, last).as_ref()])?;
            self.last = Some(one_row(argument, last));
            return hide(&shifted, &bounds.begins);
        }
        let carried = self.last.take().filter(|_| bounds.continues());
        let mut seen = carried.as_ref().map(|_| CARRIED);
        let valid = argument.logical_nulls();
        let mut picks = Vec::with_capacity(bounds.rows);
        for row in 0..bounds.rows {
            if bounds.begins.value(row) {
                seen = None;
            }
            picks.push(seen.unwrap_or(NOTHING));
            if valid.as_ref().is_none_or(|valid| valid.is_valid(row)) {
                seen = Some((HERE, row));
            }
        }
        let column = pick(argument, carried.as_ref(), &picks)?;
        self.last = match seen {
            Some((HERE, row)) => Some(one_row(argument, row)),
            Some(_) => carried,
            None => None,
        };
        Ok(column)
    }
}

/// Batches whose columns wait for what comes behind them.
struct Waiting {
    queue: VecDeque<(ArrayRef, Bounds)>,
    /// No further batch comes.
    ended: bool,
    done: VecDeque<ArrayRef>,
}

impl Waiting {
    fn new() -> Self {
        Self { queue: VecDeque::new(), ended: false, done: VecDeque::new() }
    }

    /// What the open segment of the oldest batch meets in those behind it:
    /// `look` finds it in the rows a batch carries on, or looks further.
    fn behind(&self, look: impl Fn(&ArrayRef, &Bounds) -> Option<usize>) -> Behind {
        for (array, bounds) in self.queue.iter().skip(1) {
            if !bounds.continues() {
                return Behind::Nothing;
            }
            if let Some(row) = look(array, bounds) {
                return Behind::Row(one_row(array, row));
            }
            if bounds.carried() < bounds.rows {
                return Behind::Nothing;
            }
        }
        if self.ended { Behind::Nothing } else { Behind::Unknown }
    }
}

/// What comes behind a batch, in its last segment.
enum Behind {
    /// Batches not yet seen will tell.
    Unknown,
    /// The segment ends without it.
    Nothing,
    /// The value, as a column of one row.
    Row(ArrayRef),
}

/// The value of the row behind, within the segment.
struct Lead {
    nulls: Nulls,
    waiting: Waiting,
}

impl Lead {
    fn new(nulls: Nulls) -> Self {
        Self { nulls, waiting: Waiting::new() }
    }

    fn settle(&mut self) -> Result<(), ArrowError> {
        while !self.waiting.queue.is_empty() {
            let next = match self.nulls {
                Nulls::Respect => self.waiting.behind(|_, _| Some(0)),
                Nulls::Ignore => self.waiting.behind(|array, bounds| {
                    let valid = array.logical_nulls();
                    (0..bounds.carried())
                        .find(|row| valid.as_ref().is_none_or(|valid| valid.is_valid(*row)))
                }),
            };
            let carried = match next {
                Behind::Unknown => return Ok(()),
                Behind::Nothing => None,
                Behind::Row(value) => Some(value),
            };
            if let Some((argument, bounds)) = self.waiting.queue.pop_front() {
                let column = self.column(&argument, &bounds, carried.as_ref())?;
                self.waiting.done.push_back(column);
            }
        }
        Ok(())
    }

    fn column(
        &self,
        argument: &ArrayRef,
        bounds: &Bounds,
        carried: Option<&ArrayRef>,
    ) -> Result<ArrayRef, ArrowError> {
        let rows = bounds.rows;
        let ends = bounds.ends(carried.is_some());
        if self.nulls == Nulls::Respect || argument.logical_null_count() == 0 {
            let behind = carried.cloned().unwrap_or_else(|| null_like(argument));
            let shifted = concat(&[argument.slice(1, rows - 1).as_ref(), behind.as_ref()])?;
            return hide(&shifted, &ends);
        }
        let valid = argument.logical_nulls();
        let mut picks = vec![NOTHING; rows];
        let mut seen = carried.map(|_| CARRIED);
        for row in (0..rows).rev() {
            if ends.value(row) {
                seen = None;
            }
            picks[row] = seen.unwrap_or(NOTHING);
            if valid.as_ref().is_none_or(|valid| valid.is_valid(row)) {
                seen = Some((HERE, row));
            }
        }
        pick(argument, carried, &picks)
    }
}

impl Column for Lead {
    fn push(&mut self, arguments: &[ArrayRef], bounds: &Bounds) -> Result<(), ArrowError> {
        self.waiting.queue.push_back((Arc::clone(&arguments[0]), bounds.clone()));
        self.settle()
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        self.waiting.ended = true;
        self.settle()
    }

    fn done(&mut self) -> &mut VecDeque<ArrayRef> {
        &mut self.waiting.done
    }
}

/// Gives every row of a segment what stands in its last one.
struct AtEnd(Waiting);

impl AtEnd {
    fn settle(&mut self) -> Result<(), ArrowError> {
        while let Some((values, bounds)) = self.0.queue.front() {
            // The last row of the segment may be a batch's last row, of which
            // only the batch behind tells whether it is.
            let carried = match self.behind() {
                Behind::Unknown => return Ok(()),
                Behind::Nothing => None,
                Behind::Row(value) => Some(value),
            };
            let mut picks = Vec::with_capacity(bounds.rows);
            for range in bounds.ranges() {
                let open = range.end == bounds.rows && carried.is_some();
                let pick = if open { CARRIED } else { (HERE, range.end - 1) };
                picks.extend(range.map(|_| pick));
            }
            let column = pick(values, carried.as_ref(), &picks)?;
            self.0.done.push_back(column);
            self.0.queue.pop_front();
        }
        Ok(())
    }

    /// The value at the end of the oldest batch's last segment, if that ends
    /// in a later batch.
    fn behind(&self) -> Behind {
        let mut found = Behind::Nothing;
        for (values, bounds) in self.0.queue.iter().skip(1) {
            if !bounds.continues() {
                return found;
            }
            found = Behind::Row(one_row(values, bounds.carried() - 1));
            if bounds.carried() < bounds.rows {
                return found;
            }
        }
        if self.0.ended { found } else { Behind::Unknown }
    }

    fn push(&mut self, values: ArrayRef, bounds: Bounds) -> Result<(), ArrowError> {
        self.0.queue.push_back((values, bounds));
        self.settle()
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        self.0.ended = true;
        self.settle()
    }
}

/// An aggregate over the whole segment: what the running one has come to in
/// the segment's last row.
struct Whole {
    running: Box<dyn Running>,
    at_end: AtEnd,
}

impl Column for Whole {
    fn push(&mut self, arguments: &[ArrayRef], bounds: &Bounds) -> Result<(), ArrowError> {
        let so_far = self.running.next(&arguments[0], bounds);
        self.at_end.push(so_far, bounds.clone())
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        self.at_end.finish()
    }

    fn done(&mut self) -> &mut VecDeque<ArrayRef> {
        &mut self.at_end.0.done
    }
}

/// A sum over the rows whose key is at most `preceding` smaller. Rows of one
/// key are peers: each has the sum that the last of them has come to.
struct Sliding {
    moving: MovingSum,
    peers: Finder,
    at_end: AtEnd,
}

impl Sliding {
    fn new(preceding: i64, input: &DataType, output: &DataType) -> Option<Self> {
        let moving = MovingSum::new(preceding, input, output)?;
        Some(Self { moving, peers: Finder::default(), at_end: AtEnd(Waiting::new()) })
    }
}

impl Column for Sliding {
    fn push(&mut self, arguments: &[ArrayRef], bounds: &Bounds) -> Result<(), ArrowError> {
        let [value, key] = arguments else { return Ok(()) };
        let keys = self.peers.next(std::slice::from_ref(key), bounds.rows)?;
        let so_far = self.moving.next(value, key, bounds);
        self.at_end.push(so_far, keys.or(bounds))
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        self.at_end.finish()
    }

    fn done(&mut self) -> &mut VecDeque<ArrayRef> {
        &mut self.at_end.0.done
    }
}

/// Where `pick` takes a row from: the batch, the carried value, or null.
const HERE: usize = 0;
const CARRIED: (usize, usize) = (1, 0);
const NOTHING: (usize, usize) = (2, 0);

fn pick(
    argument: &ArrayRef,
    carried: Option<&ArrayRef>,
    picks: &[(usize, usize)],
) -> Result<ArrayRef, ArrowError> {
    let nothing = null_like(argument);
    let carried = carried.unwrap_or(&nothing);
    interleave(&[argument.as_ref(), carried.as_ref(), nothing.as_ref()], picks)
}

fn null_like(array: &ArrayRef) -> ArrayRef {
    new_null_array(array.data_type(), 1)
}

/// The column with nulls where the mask is set.
fn hide(column: &ArrayRef, mask: &BooleanBuffer) -> Result<ArrayRef, ArrowError> {
    nullif(column, &BooleanArray::new(mask.clone(), None))
}
