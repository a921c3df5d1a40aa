//! Control: the inputs, selects, text areas and buttons of a form with what they hold, read from the page's tree. Knows
//! which form owns which control; nothing of how a form is sent.

use scraper::ElementRef;

use super::{
    entry::FormFile,
    value::{Bounds, TextType},
};
use crate::extract::walk::{NodeId, Step, TreeNode, Walk};

/// The most controls that are read of one form. Large forms, such as tables in an administration, have some thousands.
pub const MAX_CONTROLS: usize = 10_000;

/// One control of a form.
#[derive(Clone, Debug)]
pub(super) struct Control {
    /// Its place in the tree.
    pub node: NodeId,
    pub name: String,
    pub kind: Kind,
    /// What it holds or, of a checkbox, a radio button or a button, what it stands for.
    pub value: String,
    pub is_disabled: bool,
    pub direction: Option<Direction>,
    /// Of a button: the attributes by which it changes how the form is sent.
    pub overrides: Overrides,
}

/// What is sent for the attribute `dirname`.
#[derive(Clone, Debug)]
pub(super) struct Direction {
    pub name: String,
    pub value: &'static str,
}

/// `formaction`, `formmethod` and `formenctype`.
#[derive(Clone, Debug, Default)]
pub(super) struct Overrides {
    pub action: Option<String>,
    pub method: Option<String>,
    pub enctype: Option<String>,
}

/// What sort of control it is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Text {
        of: TextType,
        bounds: Bounds,
        is_hidden: bool,
    },
    Textarea,
    Checkbox {
        is_checked: bool,
    },
    Radio {
        is_checked: bool,
    },
    Select {
        options: Vec<Choice>,
        is_multiple: bool,
    },
    File {
        files: Vec<FormFile>,
        is_multiple: bool,
    },
    Submit,
    Image,
    /// A button that sends nothing.
    OtherButton,
}

/// An `<option>`.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub value: String,
    pub text: String,
    pub is_selected: bool,
    pub is_disabled: bool,
}

impl Control {
    /// Tells whether a click on it sends the form.
    pub fn is_submit(&self) -> bool {
        matches!(self.kind, Kind::Submit | Kind::Image)
    }
}

/// Reads the controls that `form` owns, in the tree's order; tells how many were left out.
pub(super) fn controls_of(form: ElementRef<'_>) -> (Vec<Control>, usize) {
    let root = form.ancestors().last().unwrap_or(*form);
    let mut reader = Reader::new(form, root);
    for step in Walk::over(root) {
        match step {
            Step::Open(node) => reader.open(node),
            Step::Close(node) => reader.close(node),
        }
    }
    let mut controls = reader.controls;
    settle_radios(&mut controls);
    (controls, reader.left_out)
}

/// Walks over the tree and knows what stands around the present place.
struct Reader<'a> {
    form: ElementRef<'a>,
    /// The form's id, if the form is what that id means on the page.
    id: Option<&'a str>,
    /// How many forms are open, ours or others: a parser nests none, scripts are not run.
    open_forms: Vec<NodeId>,
    /// A form in a table has no children: the parser puts what follows it into the cells, and still gives it to the
    /// form (§13.2.6.4.9). It owns what follows, up to the end of its parent or to the next form.
    spread: Option<Spread>,
    /// How many `<fieldset disabled>` are around, less those of whose first `<legend>` this is a part.
    disabling: usize,
    /// A `<template>`, whose content is not part of the page.
    template: Option<NodeId>,
    /// The attribute `dir` of the elements around.
    directions: Vec<(NodeId, &'static str)>,
    select: Option<OpenSelect>,
    controls: Vec<Control>,
    left_out: usize,
}

/// A form that owns what follows it.
struct Spread {
    form: NodeId,
    parent: NodeId,
}

/// A `<select>` whose options are being read.
struct OpenSelect {
    node: NodeId,
    /// The control, if it is the form's.
    at: Option<usize>,
    /// The number of rows that it shows.
    size: u32,
    /// How many `<optgroup disabled>` are around.
    disabling: usize,
}

impl<'a> Reader<'a> {
    fn new(form: ElementRef<'a>, root: TreeNode<'a>) -> Self {
        let id = form.attr("id").filter(|id| !id.is_empty());
        let first = id.and_then(|id| {
            root.descendants().filter_map(ElementRef::wrap).find(|element| element.attr("id") == Some(id))
        });
        Self {
            form,
            id: id.filter(|_| first.is_some_and(|first| first.id() == form.id())),
            open_forms: Vec::new(),
            spread: None,
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
            "form" => self.open_form(element),
            "fieldset" if element.attr("disabled").is_some() => self.disabling += 1,
            "legend" if frees(element) => self.disabling = self.disabling.saturating_sub(1),
            "input" => self.input(element),
            "button" => self.button(element),
            "textarea" => {
                let value = lines(&text_of(element));
                self.push(element, Kind::Textarea, value);
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
        self.spread = self.spread.take().filter(|spread| spread.parent != id);
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

    fn open_form(&mut self, element: ElementRef<'a>) {
        self.open_forms.push(element.id());
        let parent = element.parent().and_then(ElementRef::wrap);
        let in_table =
            |parent: &ElementRef<'_>| matches!(parent.value().name(), "table" | "tbody" | "thead" | "tfoot" | "tr");
        self.spread = match parent.filter(in_table) {
            Some(parent) if !element.has_children() => Some(Spread { form: element.id(), parent: parent.id() }),
            _ => None,
        };
    }

    /// Tells whether the form owns this control ("reset the form owner", §4.10.17.3).
    fn owns(&self, element: ElementRef<'a>) -> bool {
        if let Some(form) = element.attr("form") {
            return self.id == Some(form);
        }
        let around = self.open_forms.last().copied();
        around.or_else(|| self.spread.as_ref().map(|spread| spread.form)) == Some(self.form.id())
    }

    /// Adds a control, if it is the form's; returns its place.
    fn push(&mut self, element: ElementRef<'a>, kind: Kind, value: String) -> Option<usize> {
        if !self.owns(element) {
            return None;
        }
        if self.controls.len() >= MAX_CONTROLS {
            self.left_out += 1;
            return None;
        }
        let attr = |name: &str| element.attr(name).map(str::to_owned);
        let has_direction = match &kind {
            Kind::Text { of, .. } => of.has_direction(),
            kind => matches!(kind, Kind::Textarea),
        };
        let own_direction = || self.directions.last().map_or("ltr", |(_, direction)| *direction);
        let direction = attr("dirname").filter(|name| !name.is_empty() && has_direction);
        let is_button = matches!(kind, Kind::Submit | Kind::Image);
        self.controls.push(Control {
            node: element.id(),
            name: attr("name").unwrap_or_default(),
            direction: direction.map(|name| Direction { name, value: own_direction() }),
            overrides: if is_button {
                Overrides { action: attr("formaction"), method: attr("formmethod"), enctype: attr("formenctype") }
            } else {
                Overrides::default()
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
            let bounds = Bounds::of(["min", "max", "step", "value"].map(|name| element.attr(name)));
            let value = of.sanitized(value.unwrap_or_default(), bounds);
            self.push(element, Kind::Text { of, bounds, is_hidden: of == TextType::Hidden }, value);
            return;
        }
        let (kind, default) = match kind.as_str() {
            "checkbox" => (Kind::Checkbox { is_checked }, "on"),
            "radio" => (Kind::Radio { is_checked }, "on"),
            "file" => (Kind::File { files: Vec::new(), is_multiple }, ""),
            // Browsers send the label of a button that has no value.
            "submit" => (Kind::Submit, "Submit"),
            "image" => (Kind::Image, ""),
            _ => (Kind::OtherButton, ""),
        };
        self.push(element, kind, value.unwrap_or(default).to_owned());
    }

    fn button(&mut self, element: ElementRef<'a>) {
        let kind = element.attr("type").unwrap_or_default().to_ascii_lowercase();
        // A button without a type that commands something else does not send (§4.10.6).
        let commands = element.attr("command").is_some() || element.attr("commandfor").is_some();
        let is_submit = match kind.as_str() {
            "submit" => true,
            "button" | "reset" => false,
            _ => !commands,
        };
        let kind = if is_submit { Kind::Submit } else { Kind::OtherButton };
        self.push(element, kind, element.attr("value").unwrap_or_default().to_owned());
    }

    fn open_select(&mut self, element: ElementRef<'a>) {
        let is_multiple = element.attr("multiple").is_some();
        let at = self.push(element, Kind::Select { options: Vec::new(), is_multiple }, String::new());
        let size = element.attr("size").and_then(|size| size.trim().parse().ok()).filter(|size| *size > 0);
        self.select = Some(OpenSelect { node: element.id(), at, size: size.unwrap_or(1), disabling: 0 });
    }

    fn option(&mut self, element: ElementRef<'a>) {
        let Some(select) = &self.select else { return };
        let is_disabled = select.disabling > 0 || element.attr("disabled").is_some();
        let Some(control) = select.at.and_then(|at| self.controls.get_mut(at)) else { return };
        let Kind::Select { options, .. } = &mut control.kind else { return };
        let text = text_of(element).split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        options.push(Choice {
            value: element.attr("value").map_or_else(|| text.clone(), str::to_owned),
            text: element.attr("label").map_or(text, str::to_owned),
            is_selected: element.attr("selected").is_some(),
            is_disabled,
        });
    }

    /// Brings the options in order: where one is to be chosen, it is the last that says so or else the first that can be
    /// ("selectedness setting algorithm", §4.10.7).
    fn close_select(&mut self) {
        let Some(select) = self.select.take() else { return };
        let Some(control) = select.at.and_then(|at| self.controls.get_mut(at)) else { return };
        let Kind::Select { options, is_multiple: false } = &mut control.kind else { return };
        let chosen = options.iter().rposition(|option| option.is_selected);
        let first = || options.iter().position(|option| !option.is_disabled).filter(|_| select.size == 1);
        let chosen = chosen.or_else(first);
        options.iter_mut().enumerate().for_each(|(at, option)| option.is_selected = Some(at) == chosen);
    }
}

/// Of the radio buttons of one name only the last that is checked stays so.
fn settle_radios(controls: &mut [Control]) {
    let mut settled = std::collections::HashSet::new();
    for control in controls.iter_mut().rev() {
        if let Kind::Radio { is_checked } = &mut control.kind
            && *is_checked
            && !control.name.is_empty()
        {
            *is_checked = settled.insert(control.name.clone());
        }
    }
}

/// Tells whether this is the first `<legend>` of a disabled `<fieldset>`: the controls in it are not disabled by it.
fn frees(legend: ElementRef<'_>) -> bool {
    let fieldset = legend.parent().and_then(ElementRef::wrap);
    let is_disabled =
        fieldset.is_some_and(|parent| parent.value().name() == "fieldset" && parent.attr("disabled").is_some());
    is_disabled && !legend.prev_siblings().filter_map(ElementRef::wrap).any(|before| before.value().name() == "legend")
}

fn direction_of(element: ElementRef<'_>) -> Option<&'static str> {
    let direction = element.attr("dir")?;
    [("ltr", "ltr"), ("rtl", "rtl")]
        .into_iter()
        .find(|(name, _)| direction.eq_ignore_ascii_case(name))
        .map(|(_, it)| it)
}

fn text_of(element: ElementRef<'_>) -> String {
    element.text().collect()
}

/// Makes every line end LF, as a text area holds them.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}
