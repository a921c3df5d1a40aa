//! Schema: the JSON Schema of a settings file, by which editors complete and check it. Its descriptions are the
//! comments of docs/CONFIG.md, where each key is explained once.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::shape::Shape;
use crate::settings::Settings;

/// The documentation of the file.
const DOCUMENTATION: &str = include_str!("../../../docs/CONFIG.md");

/// Keys of earlier versions, which are still read.
const OLD: [&str; 1] = ["transport.shelf"];

impl Settings {
    /// Returns the JSON Schema of a settings file. Needs the feature `toml`.
    ///
    /// ```
    /// let schema = actix_crawler::Settings::schema();
    /// let robots = &schema["properties"]["politeness"]["properties"]["robots"];
    /// assert_eq!(robots["enum"], serde_json::json!(["obey", "ignore"]));
    /// ```
    pub fn schema() -> Value {
        let mut schema = of_shape(&Shape::of::<Self>(), &mut Vec::new(), &comments());
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
            schema.insert("title".to_owned(), json!("The settings of a crawl by actix-crawler"));
        }
        schema
    }
}

fn of_shape(shape: &Shape, path: &mut Vec<String>, comments: &BTreeMap<String, String>) -> Value {
    let mut schema = match shape {
        Shape::Table(keys) => {
            let mut properties = Map::new();
            for (key, shape) in keys {
                path.push((*key).to_owned());
                if !OLD.contains(&path.join(".").as_str()) {
                    properties.insert((*key).to_owned(), of_shape(shape, path, comments));
                }
                path.pop();
            }
            json!({ "type": "object", "properties": properties, "additionalProperties": false })
        }
        Shape::Map(of_each) => {
            path.push("*".to_owned());
            let of_each = of_shape(of_each, path, comments);
            path.pop();
            json!({ "type": "object", "additionalProperties": of_each })
        }
        Shape::List(of_each) => json!({ "type": "array", "items": of_shape(of_each, path, comments) }),
        Shape::OneOf(words) if words.iter().all(|(_, shape)| shape.is_none()) => {
            json!({ "enum": words.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
        }
        Shape::OneOf(words) => {
            let mut of_word = |(word, shape): &(&str, Option<Shape>)| match shape {
                None => json!({ "const": word }),
                Some(shape) => {
                    let inner = of_shape(shape, path, comments);
                    json!({ "type": "object", "properties": { (*word): inner }, "required": [word], "additionalProperties": false })
                }
            };
            json!({ "oneOf": words.iter().map(&mut of_word).collect::<Vec<_>>() })
        }
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Integer => json!({ "type": "integer", "minimum": 0 }),
        Shape::Signed => json!({ "type": "integer" }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Text => json!({ "type": "string" }),
        Shape::TextOrNumber => json!({ "type": ["string", "number"] }),
    };
    if let (Some(comment), Some(schema)) = (comments.get(&path.join(".")), schema.as_object_mut()) {
        schema.insert("description".to_owned(), json!(comment));
    }
    schema
}

/// Returns the comments of the documentation's file by path; names of a writer's own are `*`.
fn comments() -> BTreeMap<String, String> {
    let mut comments = BTreeMap::new();
    let (mut table, mut last) = (String::new(), String::new());
    for line in documented().lines() {
        let (code, comment) = line.split_once(" # ").map_or((line, ""), |(code, comment)| (code, comment.trim()));
        let code = code.trim();
        let path = if let Some(name) = code.strip_prefix('[') {
            table = path_of(name.trim_matches(['[', ']']));
            table.clone()
        } else if let Some((key, _)) = code.split_once(" = ") {
            if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
        } else {
            if !comment.is_empty()
                && let Some(before) = comments.get_mut(&last)
            {
                // A comment that goes on in the next line.
                *before = format!("{before} {comment}");
            }
            continue;
        };
        if !comment.is_empty() {
            comments.insert(path.clone(), comment.to_owned());
        }
        last = path;
    }
    comments
}

/// Replaces quoted names, which are a writer's own.
fn path_of(table: &str) -> String {
    let parts = table.split('"').enumerate();
    parts.map(|(index, part)| if index % 2 == 1 { "*" } else { part }).collect()
}

/// Returns the file that the documentation shows, with its optional keys as if they were set.
fn documented() -> String {
    let block = DOCUMENTATION.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    let is_key = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        line.contains(" = ") && !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let set = |line: &str| match line.strip_prefix("# ") {
        Some(key) if is_key(key) || key.starts_with("[[") => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    block.lines().map(set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_is_right_and_has_each_key_once() {
        let text = documented();
        let faults = Settings::from_toml(&text).err().unwrap_or_default();
        assert!(faults.is_empty(), "{faults:#?}");
        let file: toml::Table = toml::from_str(&text).expect("a key that is there twice is refused");
        let mut missing = Vec::new();
        let mut known = 0;
        Shape::of::<Settings>().each_key(&mut Vec::new(), &mut |path, _| {
            known += 1;
            let value = toml::Value::Table(file.clone());
            let path_of_key = path.join(".");
            if !is_shown(&value, path) && !OLD.iter().any(|old| path_of_key.starts_with(old)) {
                missing.push(path_of_key);
            }
        });
        assert!(known > 100, "{known}");
        assert!(missing.is_empty(), "docs/CONFIG.md does not show {missing:?}");
    }

    /// Keys of the elements of a list are shown by its comment.
    fn is_shown(value: &toml::Value, path: &[&str]) -> bool {
        match (value, path) {
            (_, []) | (toml::Value::Array(_), _) => true,
            (toml::Value::Table(table), ["*", rest @ ..]) => table.values().any(|value| is_shown(value, rest)),
            (toml::Value::Table(table), [key, rest @ ..]) => table.get(*key).is_some_and(|value| is_shown(value, rest)),
            _ => false,
        }
    }

    #[test]
    fn every_key_has_its_comment_in_the_schema() {
        let schema = Settings::schema();
        let description = |path: &str| schema.pointer(path).and_then(|schema| schema["description"].as_str());
        let rate = description("/properties/politeness/properties/rate").unwrap();
        assert!(rate.starts_with("--rate: "), "{rate}");
        let nearest = description("/properties/domains/additionalProperties").unwrap();
        assert!(nearest.contains("nearest holds, alone; names below"), "{nearest}");
        assert_eq!(schema["additionalProperties"], false);
    }
}
