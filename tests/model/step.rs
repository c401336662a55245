//! What can happen.

use proptest::prelude::*;

#[derive(Clone, Debug)]
pub enum Step {
    /// A desk discloses a key of a device: the n-th that Entra lists.
    Disclose {
        desk: usize,
        device: usize,
        key: usize,
        comes: Comes,
    },
    /// The caller of a desk's last call is in Windows: what it holds is sent.
    InWindows {
        desk: usize,
    },
    /// A call is parked, taken up or closed.
    Call {
        desk: usize,
        what: usize,
    },
    Person {
        desk: usize,
        debt: usize,
        what: Person,
    },
    /// A watcher's round; with the other desk in between, at its n-th write.
    Round {
        desk: usize,
        race: Option<(usize, Meanwhile)>,
    },
    /// The laptop checks in and does what is asked of it, or fails with this code.
    CheckIn {
        device: usize,
        code: i32,
    },
    OwnRotation {
        device: usize,
    },
    /// Intune's object goes, or comes back.
    Gone {
        device: usize,
    },
    /// Entra logs that a debt's key was deleted.
    KeyDeleted {
        desk: usize,
        debt: usize,
    },
    /// Graph cannot be reached during the next step.
    Unreachable,
    /// The next request to replace keys is answered so.
    Post(Post),
    /// The n-th row from here cannot be written, in the next step.
    WriteFails {
        row: u64,
    },
    Restart {
        desk: usize,
    },
    Pass {
        minutes: i64,
    },
    /// The machine's clock is set; no time passes.
    ClockSet {
        minutes: i64,
    },
}

/// What becomes of a key request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comes {
    Served,
    Refused,
    Unknown,
    /// The desk dies before it can write an outcome down.
    Death,
}

/// What the other desk does in between.
#[derive(Clone, Copy, Debug)]
pub enum Meanwhile {
    /// It takes the same rotation further.
    Advances,
    /// Somebody there waives one of the rotation's debts.
    Waives,
}

#[derive(Clone, Copy, Debug)]
pub enum Person {
    Retry,
    Hold,
    Waive,
    Confirm,
    Compromised,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Post {
    Taken,
    /// Taken, and the answer lost.
    LostAfter,
    /// Lost before it was taken.
    LostBefore,
    Refused,
    NotSent,
    /// Taken, and the desk dies before it can write that down.
    Death,
}

pub fn any() -> impl Strategy<Value = Step> {
    let (desk, device, debt) = (0_usize..2, 0_usize..2, 0_usize..8);
    let comes = prop_oneof![
        5 => Just(Comes::Served),
        1 => Just(Comes::Refused),
        1 => Just(Comes::Unknown),
        1 => Just(Comes::Death),
    ];
    let person = prop_oneof![
        2 => Just(Person::Retry),
        1 => Just(Person::Hold),
        2 => Just(Person::Waive),
        1 => Just(Person::Confirm),
        2 => Just(Person::Compromised),
    ];
    let meanwhile = prop_oneof![2 => Just(Meanwhile::Advances), 1 => Just(Meanwhile::Waives)];
    let post = prop_oneof![
        Just(Post::LostAfter),
        Just(Post::LostBefore),
        Just(Post::Refused),
        Just(Post::NotSent),
        Just(Post::Death),
    ];
    // Busy twice as often as any other failure: it is the one that is retried.
    let code = prop_oneof![6 => Just(0), 2 => Just(-2_144_272_295), 1 => Just(-2_144_272_166)];
    prop_oneof![
        8 => (desk.clone(), device.clone(), 0_usize..3, comes)
            .prop_map(|(desk, device, key, comes)| Step::Disclose { desk, device, key, comes }),
        8 => desk.clone().prop_map(|desk| Step::InWindows { desk }),
        1 => (desk.clone(), 0_usize..3).prop_map(|(desk, what)| Step::Call { desk, what }),
        6 => (desk.clone(), debt.clone(), person).prop_map(|(desk, debt, what)| Step::Person { desk, debt, what }),
        18 => (desk.clone(), proptest::option::weighted(0.4, (0_usize..4, meanwhile)))
            .prop_map(|(desk, race)| Step::Round { desk, race }),
        14 => (device.clone(), code).prop_map(|(device, code)| Step::CheckIn { device, code }),
        1 => device.clone().prop_map(|device| Step::OwnRotation { device }),
        1 => device.prop_map(|device| Step::Gone { device }),
        1 => (desk.clone(), debt).prop_map(|(desk, debt)| Step::KeyDeleted { desk, debt }),
        1 => Just(Step::Unreachable),
        4 => post.prop_map(Step::Post),
        3 => (0_u64..4).prop_map(|row| Step::WriteFails { row }),
        2 => desk.prop_map(|desk| Step::Restart { desk }),
        8 => (1_i64..90).prop_map(|minutes| Step::Pass { minutes }),
        1 => (-240_i64..240).prop_map(|minutes| Step::ClockSet { minutes }),
    ]
}
