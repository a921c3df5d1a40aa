//! Functions: those of JMESPath, with the mean of no numbers as the specification has it. Knows no query.

use std::sync::LazyLock;

use jmespath::{
    Rcvar, Runtime, Variable,
    functions::{ArgumentType, CustomFunction, Signature},
};
use serde_json::Number;

/// What queries are compiled and run by.
pub(super) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut runtime = Runtime::new();
    runtime.register_builtin_functions();
    let numbers = Signature::new(vec![ArgumentType::TypedArray(Box::new(ArgumentType::Number))], None);
    runtime
        .register_function("avg", Box::new(CustomFunction::new(numbers, Box::new(|arguments, _| Ok(mean(arguments))))));
    runtime
});

/// Returns the mean of numbers; `null` if there are none, for which the crate's function is an error.
fn mean(arguments: &[Rcvar]) -> Rcvar {
    let numbers = arguments.first().and_then(|numbers| numbers.as_array());
    let numbers: Vec<f64> = numbers.into_iter().flatten().filter_map(|number| number.as_number()).collect();
    #[allow(clippy::cast_precision_loss, reason = "no array has 2^53 numbers")]
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    Rcvar::new(Number::from_f64(mean).map_or(Variable::Null, Variable::Number))
}
