//! Permissions (F6): what the signed-in technician can do here, how that is known, what it takes, and who can help. And signing out.

use super::{
    super::{
        call_desk::CallDesk,
        canvas::Canvas,
        footer::Hint,
        keymap::Action,
        model::Model,
        skeleton::{self, Layout},
        theme::Role,
    },
    Page, stage,
};
use crate::domain::{
    age,
    capability::{Capability, Feature, Light},
    foreign::printable,
    work::{Failure, Request},
};

/// Where the four lights stand, and what stands behind the chosen one.
const LIGHTS: u16 = 7;
const BEHIND: u16 = 12;

#[derive(Debug, Default)]
pub struct PermissionsPage {
    at: usize,
    /// Signing out was asked for: Enter does it.
    leaves: bool,
    failure: Option<Failure>,
}

impl PermissionsPage {
    pub fn failed(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }
}

pub fn act(model: &mut Model, action: Action) {
    let deliberate = model.presses.deliberate();
    let asks = why_not_ask(model).is_none();
    let stays = why_not_leave(model).is_some();
    let Some(Page::Permissions(page)) = model.pages.last_mut() else { return };
    let leaves = std::mem::take(&mut page.leaves);
    page.failure = None;
    match action {
        Action::Up => page.at = page.at.saturating_sub(1),
        Action::Down => page.at = (page.at + 1).min(Feature::ALL.len() - 1),
        Action::Number(n) if n <= Feature::ALL.len() => page.at = n - 1,
        Action::AskForEverything if asks => {
            model.ask(Request::Redeem(Feature::ALL.to_vec()));
        }
        Action::SignOut if stays => {}
        Action::SignOut => page.leaves = true,
        Action::GoOn if leaves && deliberate => {
            stage::drop_digits(model);
            model.ask(Request::SignOut);
        }
        Action::Back => {
            model.pages.pop();
        }
        _ => {}
    }
}

fn why_not_ask(model: &Model) -> Option<&'static str> {
    let granted = |feature: &Feature| matches!(model.lights.of(*feature), Light::Yes(_) | Light::Unknown);
    match () {
        () if !model.session.is_known() => Some("signed out"),
        () if model.session.is_renewing() => Some("signing in"),
        () if is_asking(model) => Some("asking"),
        () if Feature::ALL.iter().all(granted) => Some("all granted"),
        () => None,
    }
}

fn why_not_leave(model: &Model) -> Option<&'static str> {
    match () {
        () if !model.session.is_known() => Some("signed out"),
        () if model.session.is_changing_hands() => Some("signing in"),
        () => model.call.as_ref().and_then(CallDesk::under_way),
    }
}

fn is_asking(model: &Model) -> bool {
    model.asks.any(|request| matches!(request, Request::Redeem(features) if features.len() == Feature::ALL.len()))
}

pub fn view(model: &Model, canvas: &mut Canvas, page: &PermissionsPage) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    let who = model.session.technician().map_or_else(
        || "Nobody is signed in.".to_owned(),
        |technician| format!("What {} can do at {}.", technician.upn, model.session.tenant_name()),
    );
    skeleton::title(canvas, "Permissions", &who);
    canvas.within(layout.right, |canvas| {
        for ((n, feature), row) in Feature::ALL.into_iter().enumerate().zip(LIGHTS..) {
            if n == page.at {
                canvas.bar(row, Role::Accent);
            }
            light(model, canvas, row, n, feature);
        }
        behind(model, canvas, Feature::ALL[page.at]);
    });
    skeleton::foot(model, canvas, notice(model, page), &hints(model));
}

fn notice(model: &Model, page: &PermissionsPage) -> Option<(Role, String)> {
    if let Some(failure) = &page.failure {
        return Some((Role::Warn, format!("× {failure}")));
    }
    if is_asking(model) {
        return Some((Role::Text, format!("{} Asking Entra what is granted already.", model.spinner())));
    }
    page.leaves.then(|| {
        let what = model.call.as_ref().map_or_else(
            || "The session and the list leave this machine.".to_owned(),
            |desk| format!("Call {} is parked, and its digits go.", desk.call.number),
        );
        (Role::Warn, format!("{what} What is owed stays. Enter signs out."))
    })
}

fn mark(light: &Light) -> (&'static str, Role) {
    match light {
        Light::Yes(_) => ("●", Role::Ok),
        Light::No(_) => ("×", Role::Warn),
        Light::NotAsked => ("○", Role::Text),
        Light::Unknown => ("?", Role::Text),
    }
}

fn light(model: &Model, canvas: &mut Canvas, row: u16, n: usize, feature: Feature) {
    let light = model.lights.of(feature);
    let (sign, role) = mark(light);
    canvas.put(row, 3, Role::Text, &(n + 1).to_string());
    canvas.line(row, 5, &[(role, sign), (Role::Text, " "), (Role::Strong, feature.word())]);
    canvas.put(row, 15, Role::Text, feature.capability().does);
    let word = match light {
        Light::Yes(_) => "yes",
        Light::No(_) => "no",
        Light::NotAsked => "not asked",
        Light::Unknown => "granted, not tried",
    };
    canvas.put(row, 55, role, word);
}

/// How it is known, who can help, and what it takes.
fn behind(model: &Model, canvas: &mut Canvas, feature: Feature) {
    let capability = feature.capability();
    let light = model.lights.of(feature);
    let (now, help) = evidence(model, feature, light);
    let (_, role) = mark(light);
    let asks = capability.permissions.iter().filter_map(|permission| permission.asks.first()).copied();
    let endpoints = capability.permissions.iter().map(|permission| permission.endpoint);
    let facts = [
        ("Known by", role, now),
        ("Help", Role::Text, help),
        ("Without", Role::Text, capability.without.to_owned()),
        ("Role", Role::Text, roles(capability)),
        ("Consent", Role::Text, asks.collect::<Vec<_>>().join(", ")),
        ("Asks", Role::Text, endpoints.collect::<Vec<_>>().join(", ")),
    ];
    let last = Layout::of(canvas.cols(), canvas.rows()).last;
    let mut row = BEHIND;
    for (label, role, text) in facts.into_iter().filter(|(.., text)| !text.is_empty()) {
        // With more room everything is said.
        let most = if canvas.rows() > 24 { 4 } else { 2 };
        if row <= last {
            row = canvas.facts(row, label, role, &text, most.min(last + 1 - row));
        }
    }
}

fn evidence(model: &Model, feature: Feature, light: &Light) -> (String, String) {
    match light {
        Light::Yes(evidence) | Light::No(evidence) => {
            let at = evidence.at.map(|at| format!(" ({})", age::clock(at, &model.setup.zone)));
            (printable(&evidence.said) + &at.unwrap_or_default(), printable(&evidence.help))
        }
        Light::Unknown => {
            ("Entra has granted it; nothing was tried with it yet.".into(), feature.capability().role_help())
        }
        Light::NotAsked => {
            let when = match feature {
                Feature::List => "Asked for when you sign in.",
                Feature::Reveal | Feature::Rotate => "Not asked for yet: opening a call does, or the key a now.",
                Feature::Audit => "Not asked for yet: the page on F7 does, or the key a now.",
            };
            (when.into(), String::new())
        }
    }
}

/// "Helpdesk Administrator, Cloud Device Administrator; Intune: Help Desk Operator"
fn roles(capability: &Capability) -> String {
    match (capability.entra_roles.join(", "), capability.intune_roles.join(", ")) {
        (entra, intune) if intune.is_empty() => entra,
        (entra, intune) if entra.is_empty() => format!("Intune: {intune}"),
        (entra, intune) => format!("{entra}. Intune: {intune}"),
    }
}

fn hints(model: &Model) -> Vec<Hint> {
    let (ask, leave) = (why_not_ask(model), why_not_leave(model));
    vec![
        model.hint(Action::AskForEverything, "ask for everything").unless(ask.is_some(), ask.unwrap_or_default()),
        model.hint(Action::SignOut, "sign out").unless(leave.is_some(), leave.unwrap_or_default()),
        model.hint(Action::Back, "back"),
        model.hint(Action::Choose, "choose").labelled("1-4"),
        model.hint(Action::Profiles, "tenants"),
        model.hint(Action::Help, "help"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            capability::{Evidence, Lights},
            work::{News, sign_in::Prompt},
        },
        tui::tests::{Desk, asked, assert_screen},
    };

    /// Reveal not tried, rotation refused, the record never asked for.
    fn open() -> Desk {
        let mut desk = Desk::open();
        let mut lights = Lights::default();
        let at = Some("2026-11-20T09:38:00Z".parse().unwrap());
        lights.set(Feature::List, Light::Yes(Evidence { said: "It worked.".into(), at, help: String::new() }));
        lights.set(Feature::Reveal, Light::Unknown);
        let help = Feature::Rotate.capability().role_help();
        lights.set(
            Feature::Rotate,
            Light::No(Evidence { said: "Intune does not let you replace keys.".into(), at, help }),
        );
        desk.news(News::Lights(lights));
        desk.press("f6");
        desk
    }

    #[test]
    fn each_light_says_how_it_is_known_what_it_takes_and_who_can_help() {
        let mut desk = open();
        assert!(desk.row(1).contains("×rotate"));
        assert_screen!(desk);
        desk.press("down");
        assert!(desk.shows("PIM"), "{:#?}", desk.rows());
    }

    #[test]
    fn a_refused_light_says_who_can_change_it() {
        let mut desk = open();
        desk.press("3");
        assert_screen!(desk);
    }

    #[test]
    fn at_120_by_40_all_that_stands_behind_a_light_is_said() {
        let mut desk = Desk::sized(120, 40);
        desk.press("f6");
        assert_screen!(desk);
    }

    #[test]
    fn a_light_that_was_not_asked_for_says_what_asks() {
        let mut desk = open();
        desk.press("4");
        assert!(desk.shows("Not asked for yet: the page on F7 does, or the key a now."), "{:#?}", desk.rows());
    }

    #[test]
    fn everything_is_asked_for_silently_first_and_a_prompt_comes_only_for_what_lacks_consent() {
        let mut desk = open();
        assert_eq!(asked(&desk.press("a")), [&Request::Redeem(Feature::ALL.to_vec())]);
        assert!(desk.shows("Everything that can be granted is."));
        desk.world.lacking = vec![Feature::Rotate, Feature::Audit];
        desk.hold(|request| matches!(request, Request::SignIn(_)));
        let effects = desk.press("a");
        let [Request::Redeem(_), Request::SignIn(Prompt { features, fresh: false, .. })] = asked(&effects)[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(features[..], [Feature::Rotate, Feature::Audit]);
        assert!(desk.shows("Entra needs your consent, once, to rotate and audit."), "{:#?}", desk.rows());
    }

    #[test]
    fn signing_out_is_asked_about_and_says_what_becomes_of_the_call() {
        let mut desk = Desk::in_call();
        desk.press("f6");
        assert!(desk.press("s").is_empty());
        assert_screen!(desk);
        // Another key takes it back.
        assert!(desk.press("down enter s").is_empty());
        desk.wait(1500);
        assert_eq!(asked(&desk.press("enter")), [&Request::SignOut]);
        assert!(desk.row(1).contains("signed out"));
        assert!(desk.shows("Nobody is signed in."), "{:#?}", desk.rows());
        assert!(desk.shows("From before: 1 call"), "{:#?}", desk.rows());
    }
}
