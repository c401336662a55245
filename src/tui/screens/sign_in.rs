//! Signing in by device code: the first screen, and the prompt that renews a session in the middle of a call.

use qrcode::{EcLevel, QrCode, Version};
use ratatui::widgets::Widget;
use tui_big_text::{BigText, PixelSize};
use tui_qrcode::{Colors, QrCodeWidget, QuietZone};
use unicode_width::UnicodeWidthStr;
use uuid::Uuid;

use super::{
    super::{
        canvas::{Canvas, wrap},
        footer::Hint,
        keymap::Action,
        model::Model,
        prompt::Prompt,
        skeleton,
        theme::{Glyphs, Role},
    },
    stage::Stage,
};
use crate::domain::{
    age,
    foreign::{Foreign, printable},
    moment::Deadline,
    technician::Technician,
    work::{
        Failure, Kind, Request,
        sign_in::{DeviceCode, SignedIn},
    },
};

/// Version 3 has 29 modules: with a quiet zone of two it fills rows 7 to 23.
const QR_MODULES: usize = 29;

/// Who sits here, and how signing in stands.
#[derive(Debug)]
pub struct Session {
    tenant: Foreign,
    tenant_id: Option<Uuid>,
    technician: Option<Technician>,
    state: SignIn,
    signed_out: bool,
    /// Reads that failed for want of a session: asked again after sign-in.
    after: Vec<Request>,
}

#[derive(Clone, Debug, PartialEq)]
enum SignIn {
    /// Nothing is asked of the technician.
    Idle,
    Starting,
    Code {
        code: DeviceCode,
        until: Deadline,
    },
    Failed(Failure),
}

impl Session {
    pub fn new(tenant: &str) -> Self {
        Self {
            tenant: Foreign::new(tenant),
            tenant_id: None,
            technician: None,
            state: SignIn::Starting,
            signed_out: true,
            after: Vec::new(),
        }
    }

    /// Somebody has signed in since the program started.
    pub fn is_known(&self) -> bool {
        self.technician.is_some()
    }

    /// Somebody has, and must again.
    pub fn is_renewing(&self) -> bool {
        self.is_known() && self.state != SignIn::Idle
    }

    pub fn tenant_name(&self) -> String {
        self.tenant.to_string()
    }

    /// Whether what is owed in `tenant` is followed here: so it is in this one, and wherever that is not known.
    pub fn follows(&self, tenant: Option<Uuid>) -> bool {
        tenant.is_none() || self.tenant_id.is_none() || tenant == self.tenant_id
    }

    pub fn technician(&self) -> Option<&Technician> {
        self.technician.as_ref()
    }

    pub fn who(&self, full: bool) -> String {
        match &self.technician {
            Some(technician) if !self.signed_out && full => technician.upn.to_string(),
            Some(technician) if !self.signed_out => technician.short_name().to_string(),
            _ => "signed out".into(),
        }
    }

    /// When the code shown runs out, while one is.
    pub fn countdown(&self) -> Option<Deadline> {
        match &self.state {
            SignIn::Code { until, .. } => Some(*until),
            SignIn::Idle | SignIn::Starting | SignIn::Failed(_) => None,
        }
    }

    pub fn is_waiting(&self) -> bool {
        matches!(self.state, SignIn::Starting | SignIn::Code { .. })
    }

    pub fn signed_out(&mut self) {
        self.signed_out = true;
    }

    fn code(&self) -> Option<&DeviceCode> {
        match &self.state {
            SignIn::Code { code, .. } => Some(code),
            SignIn::Idle | SignIn::Starting | SignIn::Failed(_) => None,
        }
    }
}

/// Entra named the code.
pub fn code_came(model: &mut Model, code: DeviceCode) {
    let until = model.now.in_(code.expires_in);
    model.session.state = SignIn::Code { code, until };
}

/// `request` failed for want of a session: start a new sign-in, and ask a read again afterwards.
pub fn renew(model: &mut Model, request: Request) {
    if !request.must_finish() && request != Request::SignIn {
        model.session.after.push(request);
    }
    if !model.session.is_waiting() {
        model.session.state = SignIn::Starting;
        model.ask(Request::SignIn);
    }
}

pub fn answered(model: &mut Model, result: Result<SignedIn, Failure>) {
    match result {
        Ok(signed_in) => {
            let first = !model.session.is_known();
            let until = if signed_in.remembered { "" } else { ", until you quit" };
            let who = &signed_in.technician;
            let text = format!("Signed in as {}, {}{until}.", who.name, who.upn);
            model.session.tenant = signed_in.tenant.name;
            model.session.tenant_id = Some(signed_in.tenant.id);
            model.session.technician = Some(signed_in.technician);
            model.session.signed_out = false;
            model.session.state = SignIn::Idle;
            model.lights = signed_in.lights;
            if !model.call.as_ref().and_then(|desk| desk.stage.as_ref()).is_some_and(Stage::is_on) {
                model.toast(Role::Ok, format!("√ {text}"));
            }
            if first {
                model.ask(Request::SyncIndex);
            }
            for request in std::mem::take(&mut model.session.after) {
                model.ask(request);
            }
        }
        Err(failure) if failure.kind == Kind::Cancelled => model.session.state = SignIn::Idle,
        Err(mut failure) => {
            if failure.kind == Kind::SignIn {
                // What is kept the prompt says itself; before the first sign-in there is no call.
                failure.means.clear();
            }
            model.session.state = SignIn::Failed(failure);
        }
    }
}

pub fn act(model: &mut Model, action: Action) {
    match (action, &model.session.state) {
        (Action::GoOn, SignIn::Code { code, .. }) => {
            let address = code.address.clone();
            model.ask(Request::Browse(address));
        }
        (Action::GoOn, SignIn::Failed(_) | SignIn::Idle) => {
            model.session.state = SignIn::Starting;
            model.ask(Request::SignIn);
        }
        (Action::Copy, SignIn::Code { code, .. }) => {
            let code = code.user_code.clone();
            model.ask(Request::Copy(code));
        }
        (Action::Back, _) if model.session.is_renewing() => {
            model.forget(&Request::SignIn);
            model.session.state = SignIn::Idle;
            model.session.after.clear();
        }
        _ => {}
    }
}

pub fn hints(model: &Model) -> Vec<Hint> {
    let renewing = model.session.is_renewing();
    let mut hints = match &model.session.state {
        SignIn::Code { .. } => {
            vec![model.hint(Action::GoOn, "open the page"), model.hint(Action::Copy, "copy the code")]
        }
        SignIn::Failed(_) | SignIn::Idle => vec![model.hint(Action::GoOn, "try again")],
        SignIn::Starting => vec![model.hint(Action::GoOn, "open the page").unless(true, "asking for a code")],
    };
    if renewing {
        hints.push(model.hint(Action::Back, "back"));
        if model.call.is_some() {
            hints.push(model.hint(Action::Park, "park"));
        }
    }
    if !renewing {
        hints.push(model.hint(Action::Debts, "debts"));
        hints.push(model.hint(Action::Quit, "quit"));
    }
    hints.push(model.hint(Action::Help, "help"));
    hints
}

/// The prompt in a call or on the desk.
pub fn prompt(model: &Model) -> Option<Prompt> {
    if !model.session.is_renewing() {
        return None;
    }
    let kept =
        if model.call.is_some() { "The call is kept, and so is what you typed." } else { "What you typed is kept." };
    let mut lines = vec!["Entra wants you to sign in again before it gives out a key.".to_owned(), kept.to_owned()];
    match &model.session.state {
        SignIn::Code { code, until } => {
            let left = age::countdown(until.left(model.now));
            lines.push(format!("{} at {}, {left} left", printable(&code.user_code), spoken_address(&code.address)));
            lines.push("Approve only this code.".into());
        }
        SignIn::Failed(failure) => lines.push(failure.to_string()),
        SignIn::Starting | SignIn::Idle => lines.push(format!("{} Asking for a code.", model.spinner())),
    }
    Some(Prompt { label: "Sign in".into(), lines, role: Role::Text })
}

pub fn view(model: &Model, canvas: &mut Canvas) {
    skeleton::status(model, canvas);
    let big = model.session.code().is_some_and(|code| code_fits(canvas, &code.user_code));
    let qr = model.session.code().and_then(|code| qr_of(&code.address)).filter(|_| canvas.glyphs() == Glyphs::Unicode);
    let qr = qr.filter(|_| big);
    if let Some(code) = model.session.code() {
        let shown = printable(&code.user_code);
        if big {
            big_code(canvas, &shown);
        } else {
            let spaced: Vec<String> = shown.chars().map(String::from).collect();
            canvas.put(4, 3, Role::Secret, &spaced.join(" "));
        }
    }
    let col = if let Some(qr) = qr {
        draw_qr(canvas, qr);
        39
    } else {
        3
    };
    canvas.put(8, col, Role::Strong, &format!("Sign in to {}", model.session.tenant_name()));
    match &model.session.state {
        SignIn::Code { code, until } => instructions(model, canvas, col, code, *until, qr_is_drawn(col)),
        SignIn::Failed(failure) => failed(canvas, failure),
        SignIn::Starting => {
            canvas.put(10, col, Role::Text, &format!("{} Asking Entra for a code", model.spinner()));
        }
        SignIn::Idle => {
            canvas.put(10, col, Role::Text, "Signing in was stopped.");
        }
    }
    if !model.debts.is_empty() || !model.calls.is_empty() {
        left_from_before(model, canvas, col);
    }
    skeleton::foot_from(model, canvas, col, None, &hints(model));
}

fn qr_is_drawn(col: u16) -> bool {
    col > 3
}

fn instructions(model: &Model, canvas: &mut Canvas, col: u16, code: &DeviceCode, until: Deadline, qr: bool) {
    let address = spoken_address(&code.address);
    let room = usize::from((canvas.right() + 1).saturating_sub(col + 3));
    let mut row = 10;
    canvas.put(row, col, Role::Accent, "1");
    if "Open ".len() + address.width() <= room {
        canvas.line(row, col + 3, &[(Role::Text, "Open "), (Role::Strong, &address)]);
    } else {
        // Never cut: it has to be typed.
        canvas.put(row, col + 3, Role::Text, "Open");
        for line in wrap(&address, room) {
            row += 1;
            canvas.put(row, col + 3, Role::Strong, &line);
        }
    }
    let opens = if qr { "Enter opens it here, the QR on a phone" } else { "Enter opens it here" };
    canvas.put(row + 1, col + 3, Role::Text, opens);
    canvas.put(row + 2, col, Role::Accent, "2");
    let shown = printable(&code.user_code);
    canvas.line(
        row + 2,
        col + 3,
        &[(Role::Text, "Type "), (Role::Strong, &shown), (Role::Text, " and sign in as yourself")],
    );
    canvas.put(row + 4, col, Role::Warn, "Approve only the code on this screen,");
    canvas.put(row + 5, col, Role::Warn, "never one that somebody reads to you.");
    let left = until.left(model.now);
    if left.is_zero() {
        canvas.put(18, col, Role::Warn, "This code has run out. Entra is being asked.");
    } else {
        let waiting = format!("{} Waiting for Entra, {} left", model.spinner(), age::countdown(left));
        canvas.put(18, col, Role::Text, &waiting);
    }
    if model.setup.demo {
        canvas.put(19, col + 2, Role::Dim, "The demo tenant approves by itself.");
    }
}

fn failed(canvas: &mut Canvas, failure: &Failure) {
    let mut row = canvas.wrapped(10, 3, 76, Role::Warn, &format!("× {}", failure.happened), 4);
    for part in [&failure.means, &failure.next].into_iter().filter(|part| !part.is_empty()) {
        row = canvas.wrapped(row, 3, 76, Role::Text, part, 4);
    }
    if let Some(id) = &failure.request_id {
        canvas.put(row + 1, 3, Role::Dim, &format!("Request {}", printable(id)));
    }
}

fn left_from_before(model: &Model, canvas: &mut Canvas, col: u16) {
    let calls = match model.calls.len() {
        0 => None,
        n => Some(age::count(n, "call")),
    };
    let debts = match model.debts.iter().filter(|debt| debt.is_open()).count() {
        0 => None,
        n => Some(age::count(n, "debt")),
    };
    let what: Vec<String> = calls.into_iter().chain(debts).collect();
    if !what.is_empty() {
        canvas.put(21, col, Role::Text, &format!("From before: {} open.", what.join(" and ")));
    }
}

/// An address as it is typed: without https://, which a browser adds by itself.
fn spoken_address(address: &str) -> String {
    printable(address.strip_prefix("https://").unwrap_or(address))
}

fn code_fits(canvas: &Canvas, code: &str) -> bool {
    canvas.glyphs() == Glyphs::Unicode
        && code.is_ascii()
        && code.len() * 8 + 2 <= usize::from(canvas.cols())
        && canvas.rows() >= 24
}

fn big_code(canvas: &mut Canvas, code: &str) {
    let style = canvas.style(Role::Secret);
    let width = u16::try_from(code.len() * 8).unwrap_or(80);
    let text =
        BigText::builder().pixel_size(PixelSize::HalfHeight).style(style).lines(vec![code.to_owned().into()]).build();
    canvas.widget(3, 3, width, 4, |area, buffer| text.render(area, buffer));
}

/// The QR of an address, when one of at most 29 modules holds it.
fn qr_of(address: &str) -> Option<QrCode> {
    [EcLevel::M, EcLevel::L]
        .into_iter()
        .find_map(|level| QrCode::with_version(address, Version::Normal(3), level).ok())
        .filter(|qr| qr.width() <= QR_MODULES)
}

fn draw_qr(canvas: &mut Canvas, qr: QrCode) {
    let style = canvas.style(Role::Qr);
    let widget = QrCodeWidget::new(qr).quiet_zone(QuietZone::Disabled).colors(Colors::Normal).style(style);
    canvas.widget(7, 3, 33, 17, |area, buffer| buffer.set_style(area, style));
    canvas.widget(8, 5, 29, 15, |area, buffer| widget.render(area, buffer));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        domain::work::{News, Outcome, Progress},
        tui::tests::{Desk, asked, assert_screen, failure},
    };

    #[test]
    fn before_the_first_sign_in_no_call_is_said_to_be_kept() {
        let mut desk = Desk::fresh(false, 80, 24);
        desk.hold(|request| *request == Request::SignIn);
        desk.start();
        let declined = failure(Kind::SignIn, "The code was declined.")
            .meaning("The call is kept, and so is what you typed.")
            .next("Ask for a new code.");
        desk.answer(|request| *request == Request::SignIn, Err(declined));
        assert!(desk.shows("The code was declined.") && !desk.shows("kept"), "{:#?}", desk.rows());
    }

    fn code() -> DeviceCode {
        DeviceCode {
            user_code: "C4DHKTR9P".into(),
            address: "https://microsoft.com/devicelogin".into(),
            expires_in: Duration::from_secs(872),
        }
    }

    fn is_sign_in(request: &Request) -> bool {
        *request == Request::SignIn
    }

    /// Waiting for the technician to type the code.
    fn waiting(cols: u16, rows: u16, code: DeviceCode) -> Desk {
        let mut desk = Desk::fresh(false, cols, rows);
        desk.hold(is_sign_in).start();
        desk.progress(is_sign_in, Progress::DeviceCode(code));
        desk
    }

    #[test]
    fn a_code_is_asked_for_at_once() {
        let mut desk = Desk::fresh(false, 80, 24);
        desk.hold(is_sign_in).start();
        assert_screen!(desk);
    }

    #[test]
    fn the_code_stands_large_beside_its_qr() {
        assert_screen!(waiting(80, 24, code()));
    }

    #[test]
    fn an_address_too_long_for_the_qr_is_spelled_out_whole() {
        let mut long = code();
        long.address = "http://127.0.0.1:43211/a41f0000-1111-4222-8333-444455556666/oauth2/deviceauth".into();
        assert_screen!(waiting(80, 24, long));
    }

    #[test]
    fn a_code_too_wide_is_spelled_out() {
        let mut long = code();
        long.user_code = "C4DH-KTR9-PQQ2".into();
        assert_screen!(waiting(80, 24, long));
    }

    #[test]
    fn in_ascii_there_is_neither_qr_nor_large_code() {
        let mut desk = Desk::fresh(true, 80, 24);
        desk.model.setup.glyphs = Glyphs::Ascii;
        desk.hold(is_sign_in).start();
        desk.progress(is_sign_in, Progress::DeviceCode(code()));
        assert!(desk.rows().iter().all(|row| row.is_ascii()));
        assert_screen!(desk);
    }

    #[test]
    fn the_code_counts_down_and_enter_opens_the_page() {
        let mut desk = waiting(80, 24, code());
        assert!(desk.shows("14:32 left"));
        desk.wait(2000);
        assert!(desk.shows("14:30 left"));
        assert_eq!(asked(&desk.press("enter")), [&Request::Browse("https://microsoft.com/devicelogin".into())]);
        assert_eq!(asked(&desk.press("c")), [&Request::Copy("C4DHKTR9P".into())]);
    }

    #[test]
    fn a_declined_sign_in_says_so_and_enter_tries_again() {
        let mut desk = waiting(80, 24, code());
        let declined = failure(Kind::SignIn, "Sign-in was declined.").next("Enter asks for a new code.");
        desk.answer(is_sign_in, Err(declined));
        assert_screen!(desk);
        assert_eq!(asked(&desk.press("enter")), [&Request::SignIn]);
    }

    #[test]
    fn signing_in_opens_the_desk_and_says_as_whom() {
        let mut desk = waiting(80, 24, code());
        desk.release();
        assert!(desk.shows("Signed in as Dana Reyes, dana@harborview.example."));
        assert!(asked(&desk.effects).contains(&&Request::SyncIndex));
    }

    #[test]
    fn in_the_middle_of_a_call_the_call_is_kept() {
        let mut desk = Desk::in_call();
        desk.type_text("mara voss");
        desk.hold(is_sign_in).hold(|request| matches!(request, Request::OpenDevice(_)));
        desk.press("f5");
        desk.answer(|request| matches!(request, Request::OpenDevice(_)), Err(failure(Kind::SignIn, "Signed out.")));
        desk.progress(is_sign_in, Progress::DeviceCode(code()));
        assert_screen!(desk);
        assert_eq!(asked(&desk.press("enter")), [&Request::Browse("https://microsoft.com/devicelogin".into())]);
        // Signed in again, the read goes out once more and the claim still stands.
        let signed_in = crate::tui::tests::World::signed_in();
        desk.effects.clear();
        desk.answer(is_sign_in, Ok(Outcome::SignedIn(signed_in)));
        assert!(matches!(asked(&desk.effects)[..], [Request::OpenDevice(_)]));
        assert!(desk.shows("mara voss"));
    }

    #[test]
    fn a_session_that_ended_shows_on_the_status_line() {
        let mut desk = Desk::open();
        desk.news(News::SignedOut);
        assert!(desk.row(1).contains("signed out"));
    }
}
