//! Owned: reads the controls that a form owns from the page's tree. Does not know how a form is sent.

use scraper::ElementRef;

use super::{
    control::{ControlKind, Dir, Direction, FormControl, SelectOption, SubmitterOverrides},
    lines::with_line_feeds,
    value::{TextType, ValueRange},
};
use crate::extract::{
    Document,
    walk::{NodeId, TreeNode, TreeStep, Walk},
};

/// The most controls of one form. Large forms, such as tables in an administration, have some thousands.
pub const MAX_CONTROLS: usize = 10_000;

/// Reads the controls that `form` owns, in order; returns also how many were left out.
pub(super) fn controls_of(form: ElementRef<'_>, page: &Document) -> (Vec<FormControl>, usize) {
    let root = form.ancestors().last().unwrap_or(*form);
    let mut reader = FormReader::new(form, root, page);
    for step in Walk::over(root) {
        match step {
            TreeStep::Open(node) => reader.open(node),
            TreeStep::Close(node) => reader.close(node),
        }
    }
    let mut controls = reader.controls;
    settle_radios(&mut controls);
    (controls, reader.left_out)
}

/// Walks the tree and keeps the context of the current position.
struct FormReader<'a> {
    form: ElementRef<'a>,
    page: &'a Document,
    /// The form's id, if the id refers to this form on the page.
    id: Option<&'a str>,
    /// The open forms, ours and others: the parser does not nest forms.
    open_forms: Vec<NodeId>,
    /// The number of surrounding `<fieldset disabled>`, except those whose first `<legend>` contains this position.
    disabling: usize,
    /// A `<template>`, whose content is not part of the page.
    template: Option<NodeId>,
    /// The `dir` attributes of the surrounding elements.
    directions: Vec<(NodeId, Dir)>,
    select: Option<OpenSelect>,
    controls: Vec<FormControl>,
    left_out: usize,
}

/// A `<select>` being read.
struct OpenSelect {
    node: NodeId,
    /// The index of its control, if the form owns it.
    at: Option<usize>,
    /// The number of visible rows.
    size: u32,
    /// The number of surrounding `<optgroup disabled>`.
    disabling: usize,
}

impl<'a> FormReader<'a> {
    fn new(form: ElementRef<'a>, root: TreeNode<'a>, page: &'a Document) -> Self {
        let id = form.attr("id").filter(|id| !id.is_empty());
        let first = id.and_then(|id| {
            root.descendants().filter_map(ElementRef::wrap).find(|element| element.attr("id") == Some(id))
        });
        Self {
            form,
            page,
            id: id.filter(|_| first.is_some_and(|first| first.id() == form.id())),
            open_forms: Vec::new(),
            disabling: 0,
            template: None,
            directions: Vec::new(),
            select: None,
            controls: Vec::new(),
            left_out: 0,
        }
    }

    fn open(&mut self, node: TreeNode<'a>) {
        let Some(element) = ElementRef::wrap(node).filter(|_| self.template.is_none()) else { return };
        if let Some(direction) = direction_of(element) {
            self.directions.push((node.id(), direction));
        }
        match element.value().name() {
            "template" => self.template = Some(node.id()),
            "form" => self.open_forms.push(element.id()),
            "fieldset" if element.attr("disabled").is_some() => self.disabling += 1,
            "legend" if frees(element) => self.disabling = self.disabling.saturating_sub(1),
            "input" => self.input(element),
            "button" => self.button(element),
            "textarea" => {
                let value = with_line_feeds(&text_of(element));
                self.push(element, ControlKind::Textarea { wraps_at: wraps_at(element) }, value);
            }
            "select" if self.select.is_none() => self.open_select(element),
            "optgroup" if element.attr("disabled").is_some() => {
                if let Some(select) = &mut self.select {
                    select.disabling += 1;
                }
            }
            "option" => self.option(element),
            _ => {}
        }
    }

    fn close(&mut self, node: TreeNode<'a>) {
        let id = node.id();
        if self.template.is_some() {
            self.template = self.template.filter(|template| *template != id);
            return;
        }
        let Some(element) = ElementRef::wrap(node) else { return };
        if self.directions.last().is_some_and(|(there, _)| *there == id) {
            self.directions.pop();
        }
        match element.value().name() {
            "form" if self.open_forms.last() == Some(&id) => drop(self.open_forms.pop()),
            "fieldset" if element.attr("disabled").is_some() => self.disabling = self.disabling.saturating_sub(1),
            "legend" if frees(element) => self.disabling += 1,
            "select" if self.select.as_ref().is_some_and(|select| select.node == id) => self.close_select(),
            "optgroup" if element.attr("disabled").is_some() => {
                if let Some(select) = &mut self.select {
                    select.disabling = select.disabling.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    /// Tells whether the form owns this control ("reset the form owner", §4.10.17.3).
    fn owns(&self, element: ElementRef<'a>) -> bool {
        if let Some(form) = element.attr("form") {
            return self.id == Some(form);
        }
        let around = || self.open_forms.last().copied();
        self.page.parsed_form_of(element.id()).or_else(around) == Some(self.form.id())
    }

    /// Adds a control, if the form owns it; returns its index.
    fn push(&mut self, element: ElementRef<'a>, kind: ControlKind, value: String) -> Option<usize> {
        if !self.owns(element) {
            return None;
        }
        if self.controls.len() >= MAX_CONTROLS {
            self.left_out += 1;
            return None;
        }
        let attr = |name: &str| element.attr(name).map(str::to_owned);
        let has_direction = match &kind {
            ControlKind::Text { of, .. } => of.has_direction(),
            kind => matches!(kind, ControlKind::Textarea { .. }),
        };
        let own_direction = || match direction_of(element) {
            // A telephone number reads from left to right wherever it stands (§3.2.6.4).
            None if matches!(&kind, ControlKind::Text { of, .. } if of.is_telephone()) => Dir::LeftToRight,
            _ => self.directions.last().map_or(Dir::LeftToRight, |(_, direction)| *direction),
        };
        let direction = attr("dirname").filter(|name| !name.is_empty() && has_direction);
        let is_button = matches!(kind, ControlKind::Submit | ControlKind::Image);
        self.controls.push(FormControl {
            node: element.id(),
            name: attr("name").unwrap_or_default(),
            direction: direction.map(|name| Direction { name, of: own_direction() }),
            overrides: if is_button {
                SubmitterOverrides {
                    action: attr("formaction"),
                    method: attr("formmethod"),
                    enctype: attr("formenctype"),
                }
            } else {
                SubmitterOverrides::default()
            },
            kind,
            value,
            is_disabled: self.disabling > 0 || element.attr("disabled").is_some(),
        });
        Some(self.controls.len() - 1)
    }

    fn input(&mut self, element: ElementRef<'a>) {
        let kind = element.attr("type").unwrap_or("text").to_ascii_lowercase();
        let value = element.attr("value");
        let is_multiple = element.attr("multiple").is_some();
        let is_checked = element.attr("checked").is_some();
        if let Some(of) = TextType::of(&kind, is_multiple) {
            let bounds = ValueRange::of(["min", "max", "step", "value"].map(|name| element.attr(name)));
            let value = of.sanitized(value.unwrap_or_default(), bounds);
            self.push(element, ControlKind::Text { of, bounds, is_hidden: of == TextType::Hidden }, value);
            return;
        }
        let (kind, default) = match kind.as_str() {
            "checkbox" => (ControlKind::Checkbox { is_checked }, "on"),
            "radio" => (ControlKind::Radio { is_checked }, "on"),
            "file" => (ControlKind::File { files: Vec::new(), is_multiple }, ""),
            // Browsers send the label of a button without a value.
            "submit" => (ControlKind::Submit, "Submit"),
            "image" => (ControlKind::Image, ""),
            _ => (ControlKind::OtherButton, ""),
        };
        self.push(element, kind, value.unwrap_or(default).to_owned());
    }

    fn button(&mut self, element: ElementRef<'a>) {
        let kind = element.attr("type").unwrap_or_default().to_ascii_lowercase();
        // A button without a type but with a command does not submit (§4.10.6).
        let commands = element.attr("command").is_some() || element.attr("commandfor").is_some();
        let is_submit = match kind.as_str() {
            "submit" => true,
            "button" | "reset" => false,
            _ => !commands,
        };
        let kind = if is_submit { ControlKind::Submit } else { ControlKind::OtherButton };
        self.push(element, kind, element.attr("value").unwrap_or_default().to_owned());
    }

    fn open_select(&mut self, element: ElementRef<'a>) {
        let is_multiple = element.attr("multiple").is_some();
        let at = self.push(element, ControlKind::Select { options: Vec::new(), is_multiple }, String::new());
        let size = element.attr("size").and_then(|size| size.trim().parse().ok()).filter(|size| *size > 0);
        self.select = Some(OpenSelect { node: element.id(), at, size: size.unwrap_or(1), disabling: 0 });
    }

    fn option(&mut self, element: ElementRef<'a>) {
        let Some(select) = &self.select else { return };
        let is_disabled = select.disabling > 0 || element.attr("disabled").is_some();
        let Some(control) = select.at.and_then(|at| self.controls.get_mut(at)) else { return };
        let ControlKind::Select { options, .. } = &mut control.kind else { return };
        let text = text_of_option(element).split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        options.push(SelectOption {
            value: element.attr("value").map_or_else(|| text.clone(), str::to_owned),
            text: element.attr("label").map_or(text, str::to_owned),
            is_selected: element.attr("selected").is_some(),
            is_disabled,
        });
    }

    /// Applies the "selectedness setting algorithm" (§4.10.7): if exactly one option must be chosen, it is the last one
    /// marked as selected, or else the first enabled one.
    fn close_select(&mut self) {
        let Some(select) = self.select.take() else { return };
        let Some(control) = select.at.and_then(|at| self.controls.get_mut(at)) else { return };
        let ControlKind::Select { options, is_multiple: false } = &mut control.kind else { return };
        let chosen = options.iter().rposition(|option| option.is_selected);
        let first = || options.iter().position(|option| !option.is_disabled).filter(|_| select.size == 1);
        let chosen = chosen.or_else(first);
        options.iter_mut().enumerate().for_each(|(at, option)| option.is_selected = Some(at) == chosen);
    }
}

/// Of radio buttons with the same name, only the last checked one stays checked.
fn settle_radios(controls: &mut [FormControl]) {
    let mut settled = std::collections::HashSet::new();
    for control in controls.iter_mut().rev() {
        if let ControlKind::Radio { is_checked } = &mut control.kind
            && *is_checked
            && !control.name.is_empty()
        {
            *is_checked = settled.insert(control.name.clone());
        }
    }
}

/// Tells whether this is the first `<legend>` of a disabled `<fieldset>`, whose controls stay enabled.
fn frees(legend: ElementRef<'_>) -> bool {
    let fieldset = legend.parent().and_then(ElementRef::wrap);
    let is_disabled =
        fieldset.is_some_and(|parent| parent.value().name() == "fieldset" && parent.attr("disabled").is_some());
    is_disabled && !legend.prev_siblings().filter_map(ElementRef::wrap).any(|before| before.value().name() == "legend")
}

fn direction_of(element: ElementRef<'_>) -> Option<Dir> {
    let direction = element.attr("dir")?;
    let known = [("ltr", Dir::LeftToRight), ("rtl", Dir::RightToLeft), ("auto", Dir::ByContent)];
    known.into_iter().find(|(name, _)| direction.eq_ignore_ascii_case(name)).map(|(_, direction)| direction)
}

fn text_of(element: ElementRef<'_>) -> String {
    element.text().collect()
}

/// Returns the text of an option; a script in it is none (§4.10.10, "text").
fn text_of_option(option: ElementRef<'_>) -> String {
    let mut text = String::new();
    let mut walk = Walk::over(*option);
    while let Some(step) = walk.next() {
        let TreeStep::Open(node) = step else { continue };
        if let Some(piece) = node.value().as_text() {
            text.push_str(piece);
        } else if node.value().as_element().is_some_and(|inside| inside.name() == "script") {
            walk.skip_content();
        }
    }
    text
}

/// Returns where the lines of a `<textarea>` are broken. Without a positive `cols` they have 20 characters (§4.10.11).
fn wraps_at(textarea: ElementRef<'_>) -> Option<usize> {
    const DEFAULT_COLUMNS: usize = 20;
    let is_hard = textarea.attr("wrap").is_some_and(|wrap| wrap.eq_ignore_ascii_case("hard"));
    let columns = textarea.attr("cols").and_then(|columns| columns.trim().parse().ok());
    is_hard.then(|| columns.filter(|columns| *columns > 0).unwrap_or(DEFAULT_COLUMNS))
}
