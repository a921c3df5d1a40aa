//! Tests of what makes items valid, and of what is counted.

use serde_json::json;

use super::*;

fn judged(validators: Vec<Box<dyn Validate<serde_json::Value>>>, items: &[serde_json::Value]) -> (usize, Validation) {
    let validators = Validators::new(validators);
    let mut items = items.to_vec();
    let tally = validators.judge(&mut items, "https://e.org/1");
    validators.add(tally);
    (items.len(), validators.found().unwrap().validation())
}

fn schema(schema: Schema, items: &[serde_json::Value]) -> (usize, Validation) {
    judged(vec![Box::new(schema)], items)
}

#[test]
fn a_field_is_present_if_something_is_in_it() {
    let empty = [json!(null), json!(" \n"), json!([]), json!(["", null, []]), json!({})];
    for value in &empty {
        let (kept, _) = schema(Schema::new().required("f"), &[json!({ "f": value })]);
        assert_eq!(kept, 0, "{value}");
    }
    for value in [json!(0), json!(false), json!("x"), json!(["", "x"]), json!({ "a": null })] {
        let (kept, _) = schema(Schema::new().required("f"), &[json!({ "f": value })]);
        assert_eq!(kept, 1, "{value}");
    }
    assert_eq!(schema(Schema::new().required("f"), &[json!({}), json!("text"), json!(null)]).0, 0);
}

#[test]
fn rules_hold_for_what_is_present_also_in_lists_and_texts() {
    let rules = || Schema::new().at_least("price", 1.0).at_most("price", 100.0);
    for value in [json!(1), json!(100.0), json!("99,90 €"), json!(["5", 7, ""]), json!(null), json!("2.5e1")] {
        assert_eq!(schema(rules(), &[json!({ "price": value })]).0, 1, "{value}");
    }
    for value in [json!(0.99), json!("100,01"), json!("free"), json!(["5", 0]), json!(true), json!("1-2")] {
        assert_eq!(schema(rules(), &[json!({ "price": value })]).0, 0, "{value}");
    }
    // As `number_in` reads it, and a field of a struct.
    assert_eq!(schema(Schema::new().at_least("price", 1_000.0), &[json!({ "price": "1.234" })]).0, 1);
    let matching = || Schema::new().pattern("sku", r"^\d+$".parse().unwrap());
    assert_eq!(schema(matching(), &[json!({ "sku": "12" }), json!({ "sku": 12 }), json!({ "sku": "a1" })]).0, 2);
}

#[test]
fn a_field_of_a_field_is_looked_up_in_each_element_of_a_list() {
    let rules = || Schema::new().required("offers.price").at_least("offers.price", 1.0);
    let good = json!({ "offers": [{ "price": 3 }, { "price": 4 }] });
    let lacking = json!({ "offers": [{ "price": 3 }, {}] });
    let low = json!({ "offers": [[{ "price": 0 }]] });
    assert_eq!(schema(rules(), &[good.clone(), lacking, json!({ "offers": [] }), json!({})]).0, 1);
    assert_eq!(schema(rules(), &[low]).0, 0, "lists in lists");
    assert_eq!(schema(rules(), &[json!({ "offers.price": 2 })]).0, 1, "the whole name comes first");
    let (_, found) = schema(rules(), &[good, json!({})]);
    assert_eq!(found.fields["offers.price"].items, 1);
}

#[test]
fn coverage_counts_every_item_and_what_is_expected_is_warned_of() {
    let rules = || Schema::new().required("name").expected("price", 0.75).expected("name", 0.5).expected("gone", 0.0);
    let items =
        [json!({ "name": "a", "price": 1 }), json!({ "name": "b", "price": "" }), json!({ "price": 2, "x": 1 })];
    let (kept, found) = schema(rules(), &items);
    assert_eq!((kept, found.items, found.invalid, found.left_out), (2, 3, 1, 1));
    let shares: Vec<_> = found.fields.iter().map(|(name, field)| (name.as_str(), field.items)).collect();
    assert_eq!(shares, [("gone", 0), ("name", 2), ("price", 2), ("x", 1)]);
    let warnings: Vec<_> = found.warnings().collect();
    assert_eq!(warnings, ["`price` is in 66.6% of the items (2 of 3), and expected in 75%"]);
    let [reason] = &found.reasons[..] else { panic!("{:?}", found.reasons) };
    assert_eq!((reason.to_string(), reason.items, &*reason.url), ("name is missing".to_owned(), 1, "https://e.org/1"));

    let (_, none) = schema(rules(), &[]);
    assert!(none.warnings().next().unwrap().starts_with("no item came"), "a spider that finds nothing is broken");
    assert_eq!(none.missed().count(), 2);
}

#[test]
fn invalid_items_are_kept_where_that_is_asked_for_and_counted_all_the_same() {
    let items = [json!({}), json!({ "name": "a" })];
    let (kept, found) = schema(Schema::new().required("name").keep_invalid(), &items);
    assert_eq!((kept, found.invalid, found.left_out), (2, 1, 0));
    let strict = |item: &serde_json::Value| if item.get("name").is_some() { Ok(()) } else { Err("it has no name") };
    let (kept, found) = judged(vec![Box::new(Schema::new().keep_invalid()), Box::new(strict)], &items);
    assert_eq!((kept, found.invalid, found.reasons[0].to_string()), (1, 1, "it has no name".to_owned()));
}

#[test]
fn names_and_reasons_without_end_are_added_up() {
    let items: Vec<_> = (0..500).map(|number| json!({ format!("f{number}"): number })).collect();
    let talkative = |item: &serde_json::Value| Err::<(), _>(format!("{item} is wrong"));
    let (_, found) = judged(vec![Box::new(Schema::new()), Box::new(talkative)], &items);
    assert_eq!((found.fields.len(), found.fields_beyond), (256, 244));
    assert!((64..=65).contains(&found.reasons.len()), "{}", found.reasons.len());
    assert_eq!(found.reasons[0].why, "other reasons");
    assert_eq!(found.reasons.iter().map(|reason| reason.items).sum::<u64>(), 500);
    let long = json!({ "f": "é".repeat(1_000) });
    let (_, found) = schema(Schema::new().at_least("f", 1.0), &[long]);
    assert!(found.reasons[0].value.len() <= 200);
}

/// Regression: a crawl that was run again and had nothing to do ended with an error.
#[test]
fn nothing_is_missed_where_no_page_was_read() {
    let validators = Validators::<serde_json::Value>::new(vec![Box::new(Schema::new().expected("price", 1.0))]);
    let found = validators.found().unwrap();
    assert_eq!((found.validation().missed().count(), found.validation().warnings().count()), (0, 0));
    validators.add(validators.judge(&mut Vec::new(), "https://e.org/"));
    assert_eq!((found.validation().missed().count(), found.validation().warnings().count()), (1, 1));
}

/// Regression: a field after 256 others was in no item, so that a crawl whose items all had it ended with an error.
#[test]
fn a_field_that_is_expected_is_counted_however_many_others_there_are() {
    let names = (0..300).map(|number| (format!("f{number}"), json!(number)));
    let item: serde_json::Value =
        names.chain([("price".to_owned(), json!(1))]).collect::<serde_json::Map<_, _>>().into();
    let (_, found) = schema(Schema::new().expected("price", 1.0), &[item.clone(), item]);
    assert_eq!((found.fields["price"].items, found.missed().count()), (2, 0));
    assert_eq!((found.fields.len(), found.fields_beyond), (256, 90));
}

#[test]
fn a_value_of_a_hundred_thousand_elements_is_judged_at_once() {
    let list: Vec<_> = (0..100_000).map(|number| json!({ "price": number })).collect();
    let (kept, found) = schema(Schema::new().at_least("offers.price", 1.0), &[json!({ "offers": list })]);
    assert_eq!((kept, found.reasons[0].items), (0, 1));
}
