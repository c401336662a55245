//! Permissions (F6): what the signed-in technician can do here, why not, and who can help.

use super::super::{
    canvas::Canvas,
    keymap::Action,
    model::Model,
    skeleton::{self, Layout},
    theme::Role,
};
use crate::domain::{
    capability::{Feature, Light},
    foreign::printable,
};

pub fn act(model: &mut Model, action: Action) {
    if action == Action::Back {
        model.pages.pop();
    }
}

pub fn view(model: &Model, canvas: &mut Canvas) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    let who = model.session.technician().map_or_else(
        || "Nobody is signed in.".to_owned(),
        |technician| format!("What {} can do at {}.", technician.upn, model.session.tenant_name()),
    );
    skeleton::title(canvas, "Permissions", &who);
    canvas.within(layout.right, |canvas| {
        let mut row = 8;
        for feature in Feature::ALL {
            row = light(model, canvas, row, feature) + 1;
        }
    });
    let hints = [
        model.hint(Action::Back, "back"),
        model.hint(Action::Debts, "debts"),
        model.hint(Action::Calls, "calls"),
        model.hint(Action::Help, "help"),
    ];
    skeleton::foot(model, canvas, None, &hints);
}

fn light(model: &Model, canvas: &mut Canvas, row: u16, feature: Feature) -> u16 {
    let (mark, role, said) = match model.lights.of(feature) {
        Light::Yes(_) => ("●", Role::Ok, "Yes.".to_owned()),
        Light::No(why) => ("×", Role::Warn, printable(format!("{} {}", why.said, why.help).trim_end())),
        Light::NotAsked => ("○", Role::Text, not_asked(feature).into()),
        Light::Unknown => ("?", Role::Text, "Granted by sign-in, not tried yet: a role may be missing.".into()),
    };
    canvas.line(row, 3, &[(role, mark), (Role::Text, " "), (Role::Strong, feature.word())]);
    canvas.put(row, 13, Role::Text, feature.capability().does);
    canvas.wrapped(row + 1, 13, canvas.edge(), role, &said, 2)
}

fn not_asked(feature: Feature) -> &'static str {
    match feature {
        Feature::List => "Asked for when you sign in.",
        Feature::Reveal | Feature::Rotate => "Asked for when you open a call.",
        Feature::Audit => "Not asked for: this desk does not read Entra's own record.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            capability::{Evidence, Lights},
            work::News,
        },
        tui::tests::{Desk, assert_screen},
    };

    #[test]
    fn each_light_says_what_it_means_and_who_can_help() {
        let mut desk = Desk::open();
        let mut lights = Lights::default();
        lights.set(Feature::List, Light::Yes(Evidence::default()));
        lights.set(Feature::Reveal, Light::Unknown);
        lights.set(
            Feature::Rotate,
            Light::No(Evidence {
                said: "Intune does not let you replace keys.".into(),
                at: None,
                help: "A colleague with Help Desk Operator can.".into(),
            }),
        );
        desk.news(News::Lights(lights));
        assert!(desk.row(1).contains("×rotate"));
        desk.press("f6");
        assert_screen!(desk);
    }
}
