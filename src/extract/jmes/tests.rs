//! Tests of queries: what they find, and that hostile ones are refused.

use std::thread;

use serde_json::json;

use super::*;

fn message(query: &str) -> String {
    jmes(&json!({"a": [1, 2, 3]}), query).unwrap_err().to_string()
}

#[test]
fn values_come_back_as_they_are() {
    let shop =
        json!({"a": [{"b": 1.5, "c": "é"}, {"b": null}], "d": {"x": true}, "big": 18_446_744_073_709_551_615_u64});
    assert_eq!(jmes(&shop, "@").unwrap(), shop);
    assert_eq!(jmes(&shop, "a[*].b").unwrap(), json!([1.5]));
    assert_eq!(jmes(&shop, "d.* | [0]").unwrap(), json!(true));
    assert_eq!(jmes(&shop, "big").unwrap(), json!(18_446_744_073_709_551_615_u64));
    assert_eq!(jmes(&shop, "sort_by(a[?b], &b)[0].c").unwrap(), json!("é"));
}

/// The suite <https://github.com/jmespath/jmespath.test> has it so; all its 892 cases pass.
#[test]
fn the_mean_of_no_numbers_is_null() {
    assert_eq!(jmes(&json!([]), "avg(@)").unwrap(), json!(null));
    assert_eq!(jmes(&json!([1, 2.5, -1]), "avg(@)").unwrap(), json!(2.5 / 3.0));
    assert!(message("avg(`[\"a\"]`)").contains("array[number]"), "{}", message("avg(`[\"a\"]`)"));
}

#[test]
fn what_is_no_query_says_where() {
    assert!(message("a.[").ends_with("\n    a.[\n       ^"), "{}", message("a.["));
    assert!(message("\"é\" b").ends_with("\n    \"é\" b\n        ^"), "{}", message("\"é\" b"));
    assert!(message("length(`1`)").contains("length"), "{}", message("length(`1`)"));
    assert!(message("nonsense(a)").contains("nonsense"), "{}", message("nonsense(a)"));
}

/// Without the bounds, 20,000 brackets overflow the stack, and forty doublings take a terabyte.
#[test]
fn hostile_queries_are_refused_and_the_largest_allowed_fit_the_stack_of_a_thread() {
    for query in ["(".repeat(20_000), "a.".repeat(2_000), "!".repeat(1_000) + "a", "[".repeat(1_000)] {
        assert!(message(&query).contains("it "), "{query:.20}");
    }
    let doubled = ["[@, @]"; 40].join(" | ");
    assert!(message(&doubled).contains("10000 times"), "{}", message(&doubled));
    let flattened = ["[@, @][]"; 40].join(" | ");
    assert!(message(&flattened).contains("10000 times"), "{}", message(&flattened));
    let many = json!(vec![0; 1_001]);
    assert!(jmes(&many, &["[@, @]"; 10].join(" | ")).unwrap_err().to_string().contains("1000000 values"));

    let deepest = |c: &str, end: &str| c.repeat(MAX_OPERATORS) + end;
    let queries = [
        deepest("(", "a") + &")".repeat(MAX_OPERATORS),
        deepest("a.", "a"),
        deepest("!", "a"),
        deepest("a.", "a").get(..2 * MAX_DEPTH - 1).unwrap().to_owned(),
        ["a"; MAX_OPERATORS / 2].join("||"),
        deepest("[", "a") + &"]".repeat(MAX_OPERATORS),
        ["a"; MAX_DEPTH].join("|"),
        "a".to_owned() + &"[*]".repeat(MAX_OPERATORS),
        "a".to_owned() + &"[?b".repeat(MAX_OPERATORS) + &"]".repeat(MAX_OPERATORS),
        "{a:".repeat(MAX_DEPTH - 1) + "a" + &"}".repeat(MAX_DEPTH - 1),
    ];
    assert!(queries.iter().filter(|query| compile(query).is_ok()).count() >= 5);
    let small = thread::Builder::new().stack_size(2 << 20);
    let run = move || queries.iter().for_each(|query| drop(jmes(&json!({"a": {"a": [1]}}), query)));
    small.spawn(run).unwrap().join().unwrap();
}

proptest::proptest! {
    #[test]
    fn no_query_panics(
        query in "(\\.|@|[a-z]{1,2}|\\*|\\[|\\]|\\{|\\}|\\(|\\)|'é'|`[0-9]`|-?[0-9]|[|&!=<>,: ]|\\[\\?|length\\(|sort_by\\(|&a){0,24}"
    ) {
        let _ = jmes(&json!({"a": [1, {"b": "é"}, null], "b": {"a": 2.5}}), &query);
    }
}
