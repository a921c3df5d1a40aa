//! Shape: how many values a field has: one, perhaps one, or many. Told by the names `Option` and `Vec`.

use syn::{GenericArgument, PathArguments, Type};

/// How many values a field has, and of which type.
pub enum Shape<'t> {
    One(&'t Type),
    Maybe(&'t Type),
    Many(&'t Type),
}

impl<'t> Shape<'t> {
    pub fn of(field: &'t Type) -> Self {
        let field = bare(field);
        match (inside(field, "Option"), inside(field, "Vec")) {
            (Some(inner), _) => Self::Maybe(inner),
            (_, Some(inner)) => Self::Many(inner),
            (None, None) => Self::One(field),
        }
    }

    /// Returns the type of one value.
    pub fn value(&self) -> &'t Type {
        match self {
            Self::One(value) | Self::Maybe(value) | Self::Many(value) => value,
        }
    }
}

/// Returns a type without what stands around it unseen: parentheses, and the group that a `$t:ty` of a macro makes.
fn bare(mut of: &Type) -> &Type {
    loop {
        of = match of {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            _ => return of,
        };
    }
}

/// Returns the type in `name<…>`.
fn inside<'t>(of: &'t Type, name: &str) -> Option<&'t Type> {
    let Type::Path(path) = of else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) if arguments.args.len() == 1 => Some(inner),
        _ => None,
    }
}
