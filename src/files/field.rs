//! FileField: which fields of an item have files. Knows no network and no folder.

use std::sync::Arc;

use super::File;
#[cfg(feature = "derive")]
use crate::extract::Extract;

/// What can be a field with files: a [`File`], an `Option`, a `Vec` or an array of such fields.
///
/// A struct of your own passes its fields on:
///
/// ```
/// use actix_crawler::files::{File, FileField};
///
/// struct Media {
///     cover: Option<File>,
///     pages: Vec<File>,
/// }
///
/// impl FileField for Media {
///     fn each(&mut self, see: &mut dyn FnMut(&mut File)) {
///         self.cover.each(see);
///         self.pages.each(see);
///     }
/// }
/// ```
pub trait FileField {
    /// Shows each file, always in the same order.
    fn each(&mut self, see: &mut dyn FnMut(&mut File));
}

impl FileField for File {
    fn each(&mut self, see: &mut dyn FnMut(&mut File)) {
        see(self);
    }
}

impl<T: FileField> FileField for Option<T> {
    fn each(&mut self, see: &mut dyn FnMut(&mut File)) {
        if let Some(field) = self {
            field.each(see);
        }
    }
}

impl<T: FileField> FileField for Vec<T> {
    fn each(&mut self, see: &mut dyn FnMut(&mut File)) {
        for field in self {
            field.each(see);
        }
    }
}

impl<T: FileField, const N: usize> FileField for [T; N] {
    fn each(&mut self, see: &mut dyn FnMut(&mut File)) {
        for field in self {
            field.each(see);
        }
    }
}

/// Shows each file of an item whose type names its files itself.
#[doc(hidden)]
pub type EachFile<I> = fn(&mut I, &mut dyn FnMut(&mut File));

/// Shows each file of an item that is [`Extract`].
#[cfg(feature = "derive")]
pub(crate) fn each_file<I: Extract>(item: &mut I, see: &mut dyn FnMut(&mut File)) {
    item.files_in(&mut |file| {
        if let Some(file) = file.downcast_mut() {
            see(file);
        }
    });
}

type FieldFn<I> = Arc<dyn Fn(&mut I, &mut dyn FnMut(&mut File)) + Send + Sync>;

/// The fields of items that have files.
pub(crate) struct FileFields<I> {
    fields: Vec<FieldFn<I>>,
    /// Whether the program has named one.
    are_named: bool,
}

impl<I> FileFields<I> {
    /// Adds a field.
    pub fn add<F: FileField>(&mut self, field: impl for<'a> Fn(&'a mut I) -> &'a mut F + Send + Sync + 'static) {
        self.fields.push(Arc::new(move |item, see| field(item).each(see)));
        self.are_named = true;
    }

    /// Adds the fields that a type names itself.
    pub fn add_by_type(&mut self, each: EachFile<I>)
    where
        I: 'static,
    {
        self.fields.push(Arc::new(each));
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Tells whether the program has named one itself.
    pub fn are_named(&self) -> bool {
        self.are_named
    }

    /// Shows each file of some items, with code of a user's own.
    pub fn each<'a>(&self, items: impl Iterator<Item = &'a mut I>, see: &mut dyn FnMut(&mut File))
    where
        I: 'a,
    {
        if self.is_empty() {
            return;
        }
        for item in items {
            for field in &self.fields {
                field(item, see);
            }
        }
    }
}

impl<I> Default for FileFields<I> {
    fn default() -> Self {
        Self { fields: Vec::new(), are_named: false }
    }
}

impl<I> Clone for FileFields<I> {
    fn clone(&self) -> Self {
        Self { fields: self.fields.clone(), are_named: self.are_named }
    }
}
