//! The questions under way. An answer to a question nobody waits for any more finds nothing here.

use std::{collections::BTreeMap, mem::discriminant};

use crate::domain::work::{AskId, Request};

#[derive(Clone, Debug, Default)]
pub struct Asks {
    last: u64,
    open: BTreeMap<AskId, Request>,
}

impl Asks {
    /// Registers a question. The second part are earlier reads of the same kind: nobody waits for them any more.
    pub fn open(&mut self, request: &Request) -> (AskId, Vec<AskId>) {
        let stale = if request.must_finish() { Vec::new() } else { self.forget(request) };
        self.last += 1;
        let ask = AskId(self.last);
        self.open.insert(ask, request.clone());
        (ask, stale)
    }

    /// Forgets every question of this kind, and names them.
    pub fn forget(&mut self, like: &Request) -> Vec<AskId> {
        let kind = discriminant(like);
        self.forget_those(|open| discriminant(open) == kind)
    }

    /// Forgets every question of which this holds, and names them.
    pub fn forget_those(&mut self, is: impl Fn(&Request) -> bool) -> Vec<AskId> {
        self.open.extract_if(.., |_, open| is(open)).map(|(ask, _)| ask).collect()
    }

    pub fn get(&self, ask: AskId) -> Option<&Request> {
        self.open.get(&ask)
    }

    /// Takes the question an answer belongs to.
    pub fn answered(&mut self, ask: AskId) -> Option<Request> {
        self.open.remove(&ask)
    }

    /// Whether a question of this kind is under way.
    pub fn any(&self, is: impl Fn(&Request) -> bool) -> bool {
        self.open.values().any(is)
    }

    /// Whether something is under way that the program may not end before.
    pub fn must_finish(&self) -> bool {
        self.any(Request::must_finish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::work::call::Close;

    #[test]
    fn a_later_read_of_the_same_kind_makes_the_earlier_one_stale() {
        let mut asks = Asks::default();
        let (first, _) = asks.open(&Request::Debts);
        let (second, stale) = asks.open(&Request::Debts);
        assert_eq!(stale, [first]);
        assert_eq!(asks.answered(first), None);
        assert_eq!(asks.answered(second), Some(Request::Debts));
        assert_eq!(asks.answered(second), None);
    }

    #[test]
    fn writes_never_make_each_other_stale() {
        let mut asks = Asks::default();
        let close = Request::CloseCall(Close { call: crate::domain::call::CallId::new() });
        asks.open(&close);
        assert_eq!(asks.open(&close).1, []);
        assert!(asks.must_finish());
    }
}
