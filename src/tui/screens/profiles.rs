//! Tenants (F8): those this desk is set up for, who signed in there last, and what is owed there.

use super::{
    super::{
        canvas::Canvas,
        footer::Hint,
        keymap::Action,
        model::Model,
        skeleton::{self, Layout},
        theme::Role,
    },
    Page,
    card::{self, Window},
    quit,
};
use crate::domain::{
    age,
    foreign::printable,
    moment::since,
    work::{Failure, profiles::ProfileState},
};

#[derive(Debug, Default)]
pub struct ProfilesPage {
    /// `None` until they were looked up.
    profiles: Option<Vec<ProfileState>>,
    at: usize,
    failure: Option<Failure>,
}

impl ProfilesPage {
    pub fn failed(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }

    fn list(&self) -> &[ProfileState] {
        self.profiles.as_deref().unwrap_or_default()
    }
}

/// They were looked up: the one at which this desk sits is chosen first.
pub fn known(model: &mut Model, profiles: Vec<ProfileState>) {
    if let Some(Page::Profiles(page)) = model.pages.last_mut() {
        page.at = profiles.iter().position(|profile| profile.is_here).unwrap_or(0);
        page.profiles = Some(profiles);
    }
}

pub fn act(model: &mut Model, action: Action) {
    let deliberate = model.presses.deliberate();
    let Some(Page::Profiles(page)) = model.pages.last_mut() else { return };
    page.failure = None;
    let last = page.list().len().saturating_sub(1);
    match action {
        Action::Up => page.at = page.at.saturating_sub(1),
        Action::Down => page.at = (page.at + 1).min(last),
        Action::Number(n) if n <= page.list().len() => page.at = n - 1,
        moves if let Some(line) = card::moved(moves, page.at, last) => page.at = line,
        Action::GoOn if deliberate => {
            let chosen = page.list().get(page.at).filter(|profile| !profile.is_here);
            if let Some(name) = chosen.map(|profile| profile.name.clone()) {
                quit::switch(model, name);
            }
        }
        Action::Back => {
            model.pages.pop();
        }
        _ => {}
    }
}

pub fn view(model: &Model, canvas: &mut Canvas, page: &ProfilesPage) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    let summary = match page.list().len() {
        _ if page.profiles.is_none() && page.failure.is_none() => {
            format!("{} Looking what is owed where", model.spinner())
        }
        0 | 1 => "This desk is set up for one. Another is a [profile.NAME] in the configuration.".to_owned(),
        n => format!("{n} to work in, each with its own sign-in, list and record."),
    };
    skeleton::title(canvas, "Tenants", &summary);
    if !page.list().is_empty() {
        canvas.within(layout.right, |canvas| table(model, canvas, page, layout));
    }
    let notice = page.failure.as_ref().map(|failure| (Role::Warn, format!("× {failure}")));
    skeleton::foot(model, canvas, notice.or_else(|| leaves(model)), &hints(model, page));
}

/// What going there does to the call at the desk, and to what was typed: that is nowhere but in this desk.
fn leaves(model: &Model) -> Option<(Role, String)> {
    let text = match &model.call {
        Some(desk) => {
            let number = desk.call.number;
            format!("Call {number} waits parked, without what you typed. What is held goes out first.")
        }
        None if !model.drafts.is_empty() => {
            "What you typed in parked calls is not kept. What is held goes out first.".to_owned()
        }
        None => return None,
    };
    Some((Role::Text, text))
}

fn table(model: &Model, canvas: &mut Canvas, page: &ProfilesPage, layout: Layout) {
    for (col, word) in [(5, "Tenant"), (29, "Signed in"), (53, "Owed")] {
        canvas.put(7, col, Role::Dim, word);
    }
    let list = page.list();
    let at = page.at.min(list.len() - 1);
    // Two rows each.
    let window = Window { focus: Some(at), at, most: usize::from((layout.last - 7) / 2) };
    for (n, row) in window.lines(list.len()).zip((8..).step_by(2)) {
        if n == at {
            canvas.bar(row, Role::Accent);
            canvas.bar(row + 1, Role::Accent);
        }
        entry(model, canvas, row, n, &list[n]);
    }
}

fn entry(model: &Model, canvas: &mut Canvas, row: u16, n: usize, profile: &ProfileState) {
    canvas.put(row, 3, Role::Text, &(n + 1).to_string());
    let col = 5 + u16::from(n >= 9);
    // Without a label of its own, the one that is open has the name that signing in told.
    let name = if profile.is_here && profile.label == profile.tenant {
        model.session.tenant_name()
    } else {
        printable(&profile.label)
    };
    canvas.put_in(row, col, 23, if profile.is_here { Role::Strong } else { Role::Text }, &name);
    let below = match () {
        () if profile.is_here => "you are here".to_owned(),
        () if profile.label == profile.tenant => String::new(),
        () => printable(&profile.tenant),
    };
    canvas.put_in(row + 1, col, 23, Role::Dim, &below);
    let (who, how) = match (&profile.last, profile.signed_out) {
        (None, _) => ("nobody yet".to_owned(), ""),
        (Some(last), true) => (last.short_name().to_string(), "signed out"),
        (Some(last), false) => (last.short_name().to_string(), "last time"),
    };
    canvas.put_in(row, 29, 23, Role::Text, &who);
    canvas.put_in(row + 1, 29, 23, Role::Dim, how);
    let (owed, oldest) = match (profile.owed, profile.oldest) {
        (0, _) => ("no debts".to_owned(), String::new()),
        (n, oldest) => {
            let age = oldest.map(|at| age::coarse(since(at, model.now.wall)));
            (age::count(n, "debt"), age.map(|age| format!("the oldest {age}")).unwrap_or_default())
        }
    };
    canvas.put(row, 53, Role::Text, &owed);
    canvas.put(row + 1, 53, Role::Dim, &oldest);
}

fn hints(model: &Model, page: &ProfilesPage) -> Vec<Hint> {
    let chosen = page.list().get(page.at);
    let why = match chosen {
        None => Some("no other"),
        Some(profile) if profile.is_here => Some("you are here"),
        Some(_) => None,
    };
    let many = page.list().len() > 1;
    let mut hints = vec![model.hint(Action::GoOn, "go there").unless(why.is_some(), why.unwrap_or_default())];
    if many {
        hints.push(model.hint(Action::Choose, "choose").labelled(format!("1-{}", page.list().len().min(9))));
    }
    hints.push(model.hint(Action::Back, "back"));
    hints.push(model.hint(Action::Help, "help"));
    hints
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::SignedDuration;

    use super::*;
    use crate::{
        domain::debt::RotationState,
        tui::{
            Effect,
            tests::{Desk, World, asked, assert_screen, debt},
        },
    };

    fn profile(name: &str, label: &str, tenant: &str) -> ProfileState {
        ProfileState {
            name: name.into(),
            label: label.into(),
            tenant: tenant.into(),
            is_here: false,
            last: None,
            signed_out: false,
            owed: 0,
            oldest: None,
        }
    }

    /// Three tenants; this desk sits in the second.
    fn several(mut desk: Desk) -> Desk {
        let dana = World::signed_in().technician;
        let hours = |hours| Some(desk.now.wall - SignedDuration::from_hours(hours));
        desk.world.profiles = vec![
            ProfileState {
                last: Some(World::omar()),
                owed: 2,
                oldest: hours(52),
                ..profile("default", "Harborview Clinics", "harborview.example")
            },
            ProfileState {
                is_here: true,
                last: Some(dana.clone()),
                owed: 1,
                oldest: hours(3),
                ..profile("legal", "Northgate Legal", "northgate.example")
            },
            ProfileState {
                last: Some(dana),
                signed_out: true,
                ..profile("school", "Westfield School", "westfield.example")
            },
        ];
        desk.model.setup.profile = Some((2, "Northgate Legal".into()));
        desk
    }

    #[test]
    fn each_tenant_says_who_signed_in_last_and_what_is_owed() {
        let mut desk = several(Desk::open());
        desk.press("f8");
        assert!(desk.row(1).starts_with("  2 Northgate Legal"), "{}", desk.row(1));
        assert_screen!(desk);
    }

    #[test]
    fn at_120_by_40_the_tenants_stand_beside_the_runbook() {
        let mut desk = several(Desk::sized(120, 40));
        desk.press("f8");
        assert_screen!(desk);
    }

    #[test]
    fn a_tenant_without_a_label_is_named_once() {
        let mut desk = several(Desk::open());
        desk.world.profiles[2].label = "westfield.example".into();
        desk.press("f8");
        let rows = desk.rows();
        assert_eq!(rows.iter().filter(|row| row.contains("westfield.example")).count(), 1, "{rows:#?}");
    }

    #[test]
    fn with_one_tenant_the_page_says_how_to_add_another() {
        let mut desk = Desk::open();
        desk.world.profiles =
            vec![ProfileState { is_here: true, ..profile("default", "Harborview Clinics", "h.example") }];
        desk.press("f8");
        assert!(desk.shows("Another is a [profile.NAME]"));
        assert!(desk.press("enter").is_empty());
    }

    #[test]
    fn choosing_another_leaves_this_desk_for_it() {
        let mut desk = several(Desk::open());
        desk.press("f8 3");
        desk.wait(1500);
        assert_eq!(desk.press("enter"), [Effect::Switch("school".into())]);
    }

    #[test]
    fn what_is_held_goes_out_first_and_esc_stays() {
        let mut desk = several(Desk::open());
        let held = RotationState::Held { until: desk.now.wall };
        desk.world.debts = vec![debt(1, "HVC-LT-0098", "INC0047790", Duration::from_mins(5), desk.now.wall, held)];
        desk.model.debts.clone_from(&desk.world.debts);
        desk.press("f8 1");
        desk.wait(1500);
        let effects = desk.press("enter");
        assert!(asked(&effects).contains(&&crate::domain::work::Request::WrapUp), "{effects:?}");
        assert!(desk.shows("Enter leaves this tenant."), "{:#?}", desk.rows());
        desk.press("esc");
        assert_eq!(desk.model.switch_to, None);
        assert!(desk.shows("Tenants"));
    }

    #[test]
    fn a_call_at_the_desk_is_said_to_be_left_there() {
        let mut desk = several(Desk::in_call());
        desk.press("f8");
        assert!(desk.shows("Call 17 waits parked, without what you typed."), "{:#?}", desk.rows());
        desk.press("esc");
        desk.type_text("mara");
        desk.press("f4 f8");
        assert!(desk.shows("What you typed in parked calls is not kept."), "{:#?}", desk.rows());
    }

    #[test]
    fn what_is_not_sent_is_said_to_wait_until_this_tenant_is_opened_again() {
        let mut desk = several(Desk::in_call());
        let held = RotationState::Held { until: desk.now.wall };
        desk.world.debts = vec![debt(1, "HVC-LT-0098", "INC0047790", Duration::from_mins(5), desk.now.wall, held)];
        desk.model.debts.clone_from(&desk.world.debts);
        desk.press("f8 1");
        desk.wait(1500);
        desk.press("enter");
        assert_screen!(desk);
    }
}
