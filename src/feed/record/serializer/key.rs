//! Key: the key of a map as the name of a field. Knows no values.

use serde::Serialize;

use super::{Name, Unserializable, Value, value_of};

/// Makes a name of a map's key, as `serde_json` does: of a text, a number, a boolean, or the name of a variant.
///
/// # Errors
/// The key is something else.
pub(super) fn name_of<K: Serialize + ?Sized>(key: &K) -> Result<Name, Unserializable> {
    match value_of(key)?.0 {
        Value::Text(text) => Ok(Name::Owned(text)),
        Value::Bool(value) => Ok(Name::Owned(value.to_string())),
        Value::Integer(value) => Ok(Name::Owned(value.to_string())),
        Value::Float(value) if value.is_finite() => Ok(Name::Owned(format!("{value:?}"))),
        _ => Err(Unserializable("the keys of its maps must be text, numbers or booleans".to_owned())),
    }
}
