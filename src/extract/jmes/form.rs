//! Form: what can be told of a query before it is run: how deep it is, and how many times as large as its input its
//! result may be.

use jmespath::ast::Ast;

/// Returns how many steps of a query are within each other.
pub(super) fn depth(query: &Ast) -> usize {
    1 + parts(query).into_iter().map(depth).max().unwrap_or_default()
}

/// Returns the steps directly within one.
fn parts(query: &Ast) -> Vec<&Ast> {
    match query {
        Ast::MultiList { elements, .. } => elements.iter().collect(),
        Ast::MultiHash { elements, .. } => elements.iter().map(|pair| &pair.value).collect(),
        Ast::Function { args, .. } => args.iter().collect(),
        Ast::Subexpr { lhs, rhs, .. }
        | Ast::Projection { lhs, rhs, .. }
        | Ast::And { lhs, rhs, .. }
        | Ast::Or { lhs, rhs, .. }
        | Ast::Comparison { lhs, rhs, .. } => vec![lhs, rhs],
        Ast::Condition { predicate, then, .. } => vec![predicate, then],
        Ast::Expref { ast, .. } => vec![ast],
        Ast::Flatten { node, .. } | Ast::Not { node, .. } | Ast::ObjectValues { node, .. } => vec![node],
        Ast::Identity { .. } | Ast::Field { .. } | Ast::Index { .. } | Ast::Literal { .. } | Ast::Slice { .. } => {
            Vec::new()
        }
    }
}

/// Returns how many copies of its input a query may make: one for each part of a list or a hash, those of one step
/// times those of the next.
pub(super) fn growth(query: &Ast) -> u64 {
    let of_parts = || parts(query).into_iter().map(growth);
    match query {
        Ast::MultiList { .. } | Ast::MultiHash { .. } | Ast::Function { .. } => of_parts().fold(0, u64::saturating_add),
        Ast::Subexpr { .. } | Ast::Projection { .. } => of_parts().fold(1, u64::saturating_mul),
        _ => of_parts().max().unwrap_or(1),
    }
    .max(1)
}
