//! FileReading: makes settings of a parsed file, and tells all that is wrong with it at once. Knows no files.

use std::ops::Range;

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue, Deserializer},
};

use super::{
    Fault, VARIABLES,
    kind::{out_of_range, wrong_kind},
    shape::Shape,
    tree,
};
use crate::{
    headers::origin_header::belongs_to_origin,
    settings::{Settings, key::Key},
    text::{masked::masked, nearest::nearest},
};

/// The most faults that are told of one file; who has more has the wrong file.
const MAX_FAULTS: usize = 100;

/// The settings that say how often a domain is asked; the strictest of several holds.
const PACE: [&str; 3] = ["rate", "spacing", "rest"];

/// A file that is being read. Values of variables have spans behind the text, one byte each.
pub struct FileReading<'a> {
    text: &'a str,
    variables: &'a [(String, String)],
    shape: Shape,
    faults: Vec<(usize, Fault)>,
}

impl<'a> FileReading<'a> {
    /// Begins with a file's text, and with the variables that replace its values.
    pub fn new(text: &'a str, variables: &'a [(String, String)]) -> Self {
        Self { text, variables, shape: Shape::of::<Settings>(), faults: Vec::new() }
    }

    /// Returns the values of file and variables that can be used at all, and the faults that were found on the way.
    pub fn table(&mut self) -> Option<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors.iter().take(MAX_FAULTS) {
            self.add(error.span().unwrap_or_default(), Told::KeyOnly, error.message().to_owned());
        }
        if !errors.is_empty() {
            return None;
        }
        let (mut table, shape) = (table.into_inner(), self.shape.clone());
        self.take_wrong_of_table(&mut table, &shape, &Key::default());
        self.put_variables(&mut table);
        // Now what is wrong within the values of variables.
        self.take_wrong_of_table(&mut table, &shape, &Key::default());
        Some(table)
    }

    /// Makes settings of a table. What is wrong is taken out, so that all else that is wrong can be told too.
    pub fn deserialize(&mut self, table: &mut DeTable<'a>) -> Option<Settings> {
        while self.faults.len() < MAX_FAULTS {
            let whole = Spanned::new(0..self.text.len(), table.clone());
            let error = match Settings::deserialize(Deserializer::from(whole)) {
                Ok(settings) => return Some(settings),
                Err(error) => error,
            };
            let span = error.span().unwrap_or_default();
            let why = in_plain_words(error.message());
            let Some(key) = tree::remove(table, &span, &Key::default()) else {
                self.add(span, Told::KeyOnly, why);
                break;
            };
            self.add_of(&key, span, why);
        }
        None
    }

    /// Adds what is wrong with the value of a key.
    pub fn add_wrong(&mut self, table: &DeTable<'_>, key: &Key, why: String) {
        self.add_of(key, tree::place(table, key), why);
    }

    /// Returns every fault, in the order of the lines.
    pub fn into_faults(mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|(start, _)| *start);
        self.faults.into_iter().map(|(_, fault)| fault).take(MAX_FAULTS).collect()
    }

    fn add_of(&mut self, key: &Key, span: Range<usize>, why: String) {
        let told = if key.is_secret() { Told::KeyOnly } else { Told::Line };
        // The name of a variable is its key.
        let is_named = self.variable(&span).is_some_and(|name| *key == Key::of(&keys_of(name).join(".")));
        self.add(span, told, if is_named { why } else { format!("{key}: {why}") });
    }

    fn add(&mut self, span: Range<usize>, told: Told, why: String) {
        let why = if why.contains('\n') { on_one_line(&why) } else { why };
        let fault = if let Some(name) = self.variable(&span) {
            Fault { line: None, text: name.to_owned(), why }
        } else {
            let before = self.text.get(..span.start).unwrap_or_default().matches('\n').count();
            let line = self.text.lines().nth(before).unwrap_or_default().trim();
            let text = match told {
                Told::Line if !has_secret(line) => masked(line),
                _ => key_of(line),
            };
            Fault { line: Some(before + 1), text, why }
        };
        self.faults.push((span.start, fault));
    }

    /// Returns the name of the variable that a value is from.
    fn variable(&self, span: &Range<usize>) -> Option<&'a str> {
        let index = span.start.checked_sub(self.text.len() + 1)?;
        self.variables.get(index).map(|(name, _)| name.as_str())
    }

    /// Takes out what is no key and what is of another kind than its key takes; tells whether the table was right.
    fn take_wrong_of_table(&mut self, table: &mut DeTable<'a>, shape: &Shape, path: &Key) -> bool {
        let before = self.faults.len();
        let mut wrong = Vec::new();
        for (key, value) in table.iter_mut() {
            let name = key.get_ref().to_string();
            let Some(known) = shape.get(&name) else {
                let why = self.unknown(&name, shape, path);
                let told = if path.is_secret() { Told::KeyOnly } else { Told::Line };
                self.add(key.span(), told, why);
                wrong.push(name);
                continue;
            };
            if !self.take_wrong(value, known, &path.name(&name)) {
                wrong.push(name);
            }
        }
        for name in wrong {
            table.remove(name.as_str());
        }
        self.faults.len() == before
    }

    /// Tells whether a value may stay, with what is wrong taken out of it.
    fn take_wrong(&mut self, value: &mut Spanned<DeValue<'a>>, shape: &Shape, path: &Key) -> bool {
        let span = value.span();
        if let Some(why) = wrong_kind(shape, value.get_ref()) {
            let is_misspelt = matches!((shape, value.get_ref()), (Shape::OneOf(_), DeValue::Table(_)));
            let DeValue::Table(table) = value.get_mut() else {
                self.add_of(path, span, why);
                return false;
            };
            // A misspelt word is told with the one that was meant.
            if !is_misspelt || self.take_wrong_of_table(table, shape, path) {
                self.add_of(path, span, why);
            }
            return false;
        }
        match (value.get_mut(), shape) {
            (DeValue::Table(inner), Shape::OneOf(_)) => self.take_wrong_of_table(inner, shape, path),
            (DeValue::Table(inner), _) => {
                self.take_wrong_of_table(inner, shape, path);
                true
            }
            (DeValue::Array(list), Shape::List(of_each)) => {
                let before = self.faults.len();
                for (index, element) in list.iter_mut().enumerate() {
                    self.take_wrong(element, of_each, &path.index(index));
                }
                // Without one element the others would have other places, and what an element lacks would be told too.
                self.faults.len() == before
            }
            _ => true,
        }
    }

    /// Says what may have been meant by a key that is not there.
    fn unknown(&self, given: &str, table: &Shape, path: &Key) -> String {
        let place = if path.parts().is_empty() { "there is no key".to_owned() } else { format!("[{path}] has no key") };
        let here: Vec<&str> = match table {
            Shape::Table(keys) => keys.iter().map(|(key, _)| *key).collect(),
            Shape::OneOf(words) => words.iter().map(|(word, _)| *word).collect(),
            _ => Vec::new(),
        };
        let mut elsewhere = Vec::new();
        self.shape.each_key(&mut Vec::new(), &mut |path, _| {
            if let Some((key, table)) = path.split_last() {
                elsewhere.push((*key, table.join(".")));
            }
        });
        let tables: Vec<_> =
            elsewhere.iter().filter(|(key, _)| *key == given).map(|(_, table)| table.as_str()).collect();
        let belongs = match tables.as_slice() {
            [] => None,
            [""] => Some(format!("{given} belongs to no table, so write it before the first one")),
            tables => Some(format!("{given} belongs to [{}]", tables.join("] or ["))),
        };
        let all = here.iter().chain(elsewhere.iter().map(|(key, _)| key));
        let is_here = nearest(given, all.copied()).is_some_and(|near| here.contains(&near));
        let near_here = nearest(given, here.iter().copied()).filter(|_| is_here || belongs.is_some());
        if let Some((_, key)) = FOREIGN_KEYS.iter().find(|(foreign, _)| *foreign == given) {
            return format!("{place} {given}; write {key}");
        }
        let meant = match (near_here, belongs) {
            (Some(near), Some(belongs)) => format!("; did you mean {near}? {belongs}"),
            (Some(near), None) => format!("; did you mean {near}?"),
            (None, Some(belongs)) => format!("; {belongs}"),
            (None, None) => match nearest(given, elsewhere.iter().map(|(key, _)| *key)) {
                Some(near) => match elsewhere.iter().find(|(key, table)| *key == near && !table.is_empty()) {
                    Some((_, table)) => format!("; did you mean {near} of [{table}]?"),
                    None => format!("; did you mean {near}, which belongs to no table?"),
                },
                None => format!("; it has {}", here.join(", ")),
            },
        };
        format!("{place} {given}{meant}")
    }

    /// Puts in the values of variables, in place of what is there.
    fn put_variables(&mut self, table: &mut DeTable<'a>) {
        let sets_pace = |(name, _): &(String, String)| match keys_of(name).as_slice() {
            [first, key] => first == "politeness" && PACE.contains(&key.as_str()),
            _ => false,
        };
        if self.variables.iter().any(sets_pace)
            && let Some(DeValue::Table(politeness)) = table.get_mut("politeness").map(Spanned::get_mut)
        {
            // Otherwise the strictest would hold, and not the variable.
            for key in PACE {
                politeness.remove(key);
            }
        }
        for (index, (name, value)) in self.variables.iter().enumerate() {
            self.put(table, index, name, value);
        }
    }

    /// Puts in the value of a variable.
    fn put(&mut self, table: &mut DeTable<'a>, index: usize, name: &'a str, value: &'a str) {
        let span = self.text.len() + 1 + index..self.text.len() + 2 + index;
        let path = keys_of(name);
        let mut shape = &self.shape;
        for key in &path {
            match (shape, shape.get(key)) {
                (Shape::Table(_), Some(inner)) => shape = inner,
                (Shape::Map(_), _) => {
                    return self.add(span, Told::KeyOnly, "names of your own stand in a file only".to_owned());
                }
                _ => {
                    let meant = self.nearest_variable(name);
                    return self.add(span, Told::KeyOnly, format!("it names no setting{meant}"));
                }
            }
        }
        let value = match shape {
            Shape::Text | Shape::TextOrNumber | Shape::OneOf(_) => Ok(DeValue::String(value.into())),
            _ => DeValue::parse(value).map(Spanned::into_inner),
        };
        if let Ok(value) = value {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            tree::insert(table, &path, tree::at(value, &span), &span);
        } else {
            let why = "its value is not written as in TOML, as 3, true or [\"one\", \"two\"]";
            self.add(span, Told::KeyOnly, why.to_owned());
        }
    }

    fn nearest_variable(&self, given: &str) -> String {
        let mut names = Vec::new();
        self.shape.each_key(&mut Vec::new(), &mut |path, shape| {
            if !matches!(shape, Shape::Table(_) | Shape::Map(_)) && !path.contains(&"*") {
                names.push(format!("{VARIABLES}{}", path.join("__").to_ascii_uppercase()));
            }
        });
        // What all of them begin with is no evidence.
        let bare = |name: &str| name.strip_prefix(VARIABLES).unwrap_or(name).to_owned();
        let bares: Vec<String> = names.iter().map(|name| bare(name)).collect();
        let near = nearest(&bare(given), bares.iter().map(String::as_str));
        near.map_or_else(String::new, |near| format!("; did you mean {VARIABLES}{near}?"))
    }
}

/// What other tools, and options of the command line, call otherwise.
const FOREIGN_KEYS: [(&str, &str); 10] = [
    ("delay", "spacing = \"1s\" in [politeness]"),
    ("download_delay", "spacing = \"1s\" in [politeness]"),
    ("crawl_delay", "spacing = \"1s\" in [politeness]"),
    ("rate_limit", "rate = \"2/s\" in [politeness]"),
    ("concurrent_requests", "concurrency = 16 in [politeness]"),
    ("concurrent_requests_per_domain", "per_domain = 8 in [politeness]"),
    ("depth", "max_depth = 3 in [scope]"),
    ("depth_limit", "max_depth = 3 in [scope]"),
    ("allowed_domains", "within = \"domain\" in [scope]"),
    ("robotstxt_obey", "robots = \"ignore\" in [politeness], and leave it out to obey"),
];

/// What is told of the line with a fault.
#[derive(Clone, Copy)]
enum Told {
    Line,
    /// Not its value, which may be a password.
    KeyOnly,
}

/// Tells whether a line may have a secret in it, whatever its key is.
fn has_secret(line: &str) -> bool {
    let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    words.any(|word| word == "headers" || belongs_to_origin(word))
}

/// Returns a line without its value.
fn key_of(line: &str) -> String {
    let is_header = |line: &str| {
        line.trim_start_matches('[').starts_with(|c: char| c.is_ascii_lowercase()) && !line.contains(['=', ','])
    };
    match line.split_once('=') {
        _ if line.starts_with('[') && is_header(line) => line.to_owned(),
        // What is no key may be the rest of a list.
        Some((key, _)) if !key.contains(['{', '[']) => format!("{} = …", key.trim_end()),
        _ => "…".to_owned(),
    }
}

/// Puts a cause of several lines on one. Parsers show the place in lines of their own, which mean nothing there.
fn on_one_line(why: &str) -> String {
    let is_mark = |line: &str| line.chars().all(|c| matches!(c, '^' | '~' | '-' | '|' | ' '));
    let lines = why.lines().map(str::trim).filter(|line| !is_mark(line));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// Returns the keys that the name of a variable stands for.
fn keys_of(name: &str) -> Vec<String> {
    let rest = name.strip_prefix(VARIABLES).unwrap_or(name).to_ascii_lowercase();
    rest.split("__").map(str::to_owned).collect()
}

/// Says what to write in place of what serde says.
fn in_plain_words(message: &str) -> String {
    let message = message.trim_end();
    if let Some(rest) = message.strip_prefix("invalid value: integer `") {
        return out_of_range(rest.split('`').next().unwrap_or_default());
    }
    match message.strip_prefix("missing field ") {
        Some(key) => format!("the key {key} is missing"),
        None => message.to_owned(),
    }
}
