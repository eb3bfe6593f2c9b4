//! Functions that make much of little: `repeat('x', 1000000000)` is a gigabyte before
//! the engine could count it against `engine.memory`. Here each says what it would
//! make before it does, and fails where that is too much.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};
use datafusion::prelude::SessionContext;

/// Bytes that one call makes at most, for all rows of a batch: 8 KiB for each of 8,192.
const BYTES_MAX: u64 = 64 << 20;

/// Bytes of a letter at most.
const LETTER_BYTES: u64 = 4;

/// Bytes of a number in a list.
const NUMBER_BYTES: u64 = 8;

/// Puts bounds on the functions of a session that need them.
pub fn register(context: &SessionContext) {
    for function in SessionStateDefaults::default_scalar_functions() {
        let growth = match function.name() {
            "repeat" => Growth::Repeat,
            "lpad" | "rpad" => Growth::Pad,
            "replace" => Growth::Replace,
            "array_repeat" => Growth::List,
            "array_resize" => Growth::Resize,
            "range" | "generate_series" => Growth::Range,
            _ => continue,
        };
        context.register_udf(ScalarUDF::new_from_impl(Bounded { inner: function, growth }));
    }
}

/// How large a result is, by the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// As often as the second says.
    Repeat,
    /// As long as the second says.
    Pad,
    /// Each of the second in the first becomes the third.
    Replace,
    /// A list of as many as the second says.
    List,
    /// The list becomes as long as the second says.
    Resize,
    /// A list from the first to the second, by the third.
    Range,
}

/// A function of the engine with a bound.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl Bounded {
    /// Bytes of the result for a row, as far as they can be told.
    fn bytes(&self, sizes: &[Sizes], row: usize) -> u64 {
        let size = |argument: usize| sizes.get(argument).map_or(0, |sizes| sizes.at(row));
        let count = |argument: usize| u64::try_from(size(argument)).unwrap_or(0);
        match self.growth {
            Growth::Repeat => count(0).saturating_mul(count(1)),
            Growth::Pad => count(1).saturating_mul(LETTER_BYTES),
            Growth::Replace => {
                // Between the letters of the text, too, where nothing is looked for.
                let times = count(0) / count(1).max(1) + 1;
                count(0).saturating_add(times.saturating_mul(count(2)))
            }
            Growth::List => count(1).saturating_mul(count(0).max(NUMBER_BYTES)),
            Growth::Resize => count(1).saturating_mul(NUMBER_BYTES),
            Growth::Range => {
                let (from, to) = if sizes.len() == 1 { (0, size(0)) } else { (size(0), size(1)) };
                let step = if sizes.len() > 2 { size(2) } else { 1 };
                (from.abs_diff(to) / step.unsigned_abs().max(1)).saturating_mul(NUMBER_BYTES)
            }
        }
    }

    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let sizes: Vec<Sizes> = args.args.iter().map(Sizes::of).collect::<Result<_>>()?;
        let is_one = sizes.iter().all(|sizes| matches!(sizes, Sizes::All(_)));
        let rows = if is_one { 1 } else { args.number_rows };
        let bytes = (0..rows).fold(0_u64, |all, row| all.saturating_add(self.bytes(&sizes, row)));
        if bytes <= BYTES_MAX {
            return Ok(());
        }
        Err(DataFusionError::Execution(format!(
            "`{}` would make {} MiB at once, and {} MiB are the most: `engine.memory` does not \
             count what a function makes",
            self.inner.name(),
            bytes >> 20,
            BYTES_MAX >> 20
        )))
    }
}

/// Of an argument: bytes of a text, or the value of a number. Null is 0, as is what is
/// neither.
enum Sizes {
    /// For all rows.
    All(i64),
    /// Row by row.
    Each(Vec<i64>),
}

impl Sizes {
    fn of(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(array) => Self::Each(sizes(array)?),
            ColumnarValue::Scalar(scalar) => Self::All(size(scalar)?),
        })
    }

    fn at(&self, row: usize) -> i64 {
        match self {
            Self::All(size) => *size,
            Self::Each(sizes) => sizes.get(row).copied().unwrap_or(0),
        }
    }
}

fn size(scalar: &ScalarValue) -> Result<i64> {
    let length = |text: &Option<String>| length(text.as_ref().map_or(0, String::len));
    Ok(match scalar {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => {
            length(text)
        }
        other if other.data_type().is_integer() => match other.cast_to(&DataType::Int64)? {
            ScalarValue::Int64(Some(number)) => number,
            _ => 0,
        },
        _ => 0,
    })
}

fn sizes(array: &ArrayRef) -> Result<Vec<i64>> {
    let of = |text: Option<&str>| length(text.map_or(0, str::len));
    Ok(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().map(of).collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().map(of).collect(),
        DataType::Utf8View => array.as_string_view().iter().map(of).collect(),
        kind if kind.is_integer() => {
            let numbers = cast(array, &DataType::Int64)?;
            numbers.as_primitive::<Int64Type>().iter().map(Option::unwrap_or_default).collect()
        }
        _ => Vec::new(),
    })
}

fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        self.inner.invoke_with_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(sql: &str) -> Result<String> {
        let context = SessionContext::new();
        register(&context);
        let rows = context.sql(sql).await?.collect().await?;
        Ok(arrow::util::pretty::pretty_format_batches(&rows)?.to_string())
    }

    #[tokio::test]
    async fn what_would_be_too_large_is_not_made() {
        for sql in [
            "select length(repeat('x', 1000000000))",
            "select length(repeat('ab', n)) from (values (100), (50000000)) as t (n)",
            "select length(lpad('x', 1000000000, 'y'))",
            "select length(rpad('x', 100000000))",
            "select length(replace(repeat('a', 100000), 'a', repeat('b', 100000)))",
            "select array_length(array_repeat(1, 1000000000))",
            "select array_length(list_repeat('abc', 1000000000))",
            "select array_length(range(1000000000))",
            "select array_length(generate_series(1, 1000000000))",
            "select array_length(array_resize([1], 1000000000, 0))",
        ] {
            let error = answer(sql).await.expect_err(sql).to_string();
            assert!(error.contains("would make") && error.contains("64 MiB"), "{sql}: {error}");
        }
    }

    #[tokio::test]
    async fn what_is_small_is_what_it_was() {
        let sql = "select repeat('ab', 3) as a, lpad('7', 3, '0') as b, rpad('7', n) as c, \
                   replace('a-b-c', '-', '+') as d, range(3) as e, array_repeat(1, 2) as f, \
                   repeat(null, 2) as g, repeat('x', -1) as h, lpad(cast(n as varchar), 4) as i \
                   from (values (2), (null)) as t (n)";
        let plain = SessionContext::new().sql(sql).await.expect("sql").collect().await;
        let plain = arrow::util::pretty::pretty_format_batches(&plain.expect("rows"));
        assert_eq!(answer(sql).await.expect("rows"), plain.expect("text").to_string());
    }
}
