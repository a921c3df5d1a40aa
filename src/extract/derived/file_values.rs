//! FileValues: the files in a field whose type need be none that is read from a page. Knows no page.

use std::{any::Any, cell::Cell};

use super::FieldValue;

/// The value of a field that nothing reads, or a function of the user's own: of which type it is, the macro cannot
/// tell. The compiler takes [`MayHaveFiles`] for it if its type is a [`FieldValue`], and [`NoFiles`] otherwise, since
/// that needs one more reference.
#[doc(hidden)]
#[allow(missing_debug_implementations, reason = "it lives for one call")]
pub struct Unread<'v, T>(Cell<Option<&'v mut T>>);

impl<'v, T> Unread<'v, T> {
    /// Takes the value.
    pub fn of(value: &'v mut T) -> Self {
        Self(Cell::new(Some(value)))
    }
}

/// Of a type that may have files in it.
#[doc(hidden)]
pub trait MayHaveFiles {
    /// Shows each file in it.
    fn show(&self, see: &mut dyn FnMut(&mut dyn Any));
}

impl<T: FieldValue> MayHaveFiles for Unread<'_, T> {
    fn show(&self, see: &mut dyn FnMut(&mut dyn Any)) {
        if let Some(value) = self.0.take() {
            value.files_in(see);
        }
    }
}

/// Of another type.
#[doc(hidden)]
pub trait NoFiles {
    /// Shows nothing.
    fn show(&self, see: &mut dyn FnMut(&mut dyn Any));
}

impl<T> NoFiles for &Unread<'_, T> {
    fn show(&self, _: &mut dyn FnMut(&mut dyn Any)) {}
}
