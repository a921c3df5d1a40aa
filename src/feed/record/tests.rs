//! Records of items of every kind that serde knows.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;

fn record(item: &(impl Serialize + ?Sized)) -> Record {
    Record::of(item, "https://example.org/").unwrap()
}

#[derive(Serialize)]
struct Price {
    amount: f32,
    currency: &'static str,
}

#[derive(Serialize)]
enum Item {
    Unit,
    Number(u8),
    Pair(u8, u8),
    Product { name: &'static str, price: Option<Price> },
    Wrapped(Price),
}

#[test]
fn a_record_as_json_is_what_serde_json_writes_of_the_item() {
    fn same(item: &impl Serialize) {
        assert_eq!(record(item).to_json(), serde_json::to_string(item).unwrap());
    }
    same(&Item::Unit);
    same(&Item::Number(1));
    same(&Item::Pair(1, 2));
    same(&Item::Product { name: "tea", price: Some(Price { amount: 0.1, currency: "EUR" }) });
    same(&Item::Product { name: "\0\u{1f}\n\"é🦀", price: None });
    same(&Item::Wrapped(Price { amount: 1e30, currency: "" }));
    same(&(1_u64 << 53 | 1, u64::MAX, i64::MIN, i128::MAX, f64::MIN_POSITIVE, 1.0, f64::NAN, f32::INFINITY));
    same(&(((), 'c', true), [1, 2], "text", Some(None::<u8>)));
    same(&BTreeMap::from([(1, "a"), (2, "b")]));
    same(&BTreeMap::from([(true, BTreeMap::from([('x', [0; 0])]))]));
    same(&json!({"z": 1, "a": {"deep": [1, {"b": null}]}}));
    same(&std::net::Ipv4Addr::LOCALHOST);
    same(&std::time::Duration::from_millis(1_500));
}

#[test]
fn what_is_nested_without_end_or_has_no_names_is_refused() {
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let refused = Record::of(&deep, "x").unwrap_err();
    assert!(matches!(&refused, SinkError::Refused(why) if why.contains("128 deep")), "{refused}");
    let refused = Record::of(&BTreeMap::from([([1, 2], 3)]), "x").unwrap_err().to_string();
    assert!(refused.contains("keys"), "{refused}");
}

#[test]
fn a_whole_number_beyond_an_i128_is_its_digits() {
    assert_eq!(record(&u128::MAX).value(), &Value::Text(u128::MAX.to_string()));
}

#[test]
fn the_fields_of_a_variant_are_its_own() {
    let product = record(&Item::Product { name: "tea", price: Some(Price { amount: 2.5, currency: "EUR" }) });
    assert_eq!(product.variant(), Some("Product"));
    assert_eq!(product.get("price.amount"), Some(&Value::Float(2.5)));
    assert_eq!(product.get("price.tax"), None);
    assert_eq!(record(&json!({"a.b": 1, "a": {"b": 2}})).get("a.b"), Some(&Value::Integer(1)), "a name may have dots");
    assert_eq!(record(&Item::Unit).variant(), None);
}

/// A crate elsewhere in the program may set the feature `arbitrary_precision` of `serde_json`; then its numbers come as
/// this.
#[test]
fn a_number_of_any_precision_is_a_number() {
    struct Digits(&'static str);
    impl Serialize for Digits {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeStruct as _;
            let mut number = serializer.serialize_struct("$serde_json::private::Number", 1)?;
            number.serialize_field("$serde_json::private::Number", self.0)?;
            number.end()
        }
    }
    for (digits, value) in [
        ("3", Value::Integer(3)),
        ("-170141183460469231731687303715884105728", Value::Integer(i128::MIN)),
        ("3.50", Value::Float(3.5)),
        ("1e400", Value::Text("1e400".to_owned())),
    ] {
        let record =
            Record::of(&std::collections::BTreeMap::from([("price", Digits(digits))]), "https://e.org/").unwrap();
        assert_eq!(record.get("price"), Some(&value), "{digits}");
    }
}
