//! New ids. They stand here and not in the domain because a version 7 GUID reads the clock.

use uuid::Uuid;

use crate::domain::{
    call::{CallId, DisclosureId},
    debt::{DebtId, RotationId},
};

/// `new` and `Default`: a GUID of version 7, so that ids sort by when they were made.
macro_rules! made_now {
    ($($name:ident),+) => {$(
        impl $name {
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
    )+};
}

made_now!(CallId, DisclosureId, DebtId, RotationId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_when_they_were_made() {
        let (first, second) = (CallId::new(), CallId::new());
        assert!(first < second);
        assert_eq!(first.0.get_version_num(), 7);
    }
}
