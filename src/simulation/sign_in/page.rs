//! The page where a person types the code, says who they are, and approves or declines. Plain HTML and form posts.

use std::fmt::Write;

use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;

use crate::simulation::{people::Person, tenant::Tenant};

/// Where the page lives on the tenant's host.
pub const PATH: &str = "/devicelogin";
/// Where its second form is sent.
pub const DECIDE: &str = "/devicelogin/decide";

const PAGE: &str = include_str!("page.html");

/// People with work to do here come first; a fleet's owners are not all listed.
const MOST_PEOPLE: usize = 12;

const WARNING: &str = "<p class=\"warn\" role=\"note\"><strong>Approve only a code that you asked for yourself</strong>, \
                       on the screen in front of you. Somebody who reads or sends you a code wants to sign in as \
                       you.</p>";

/// `GET /devicelogin`
pub async fn show(State(tenant): State<Tenant>) -> Response {
    code_form(&tenant, None).into_response()
}

#[derive(Debug, Deserialize)]
pub struct Typed {
    #[serde(default)]
    user_code: String,
}

/// `POST /devicelogin`: the code was typed.
pub async fn typed(State(tenant): State<Tenant>, Form(form): Form<Typed>) -> Response {
    let found = tenant.with(|state, now| state.requests.typed(&form.user_code, now).cloned());
    match found {
        Ok(request) => {
            let how = format!("with the code {}", request.user_code);
            let hidden = vec![("user_code", request.user_code.as_str())];
            decision_form(&tenant, &Asks { app: &request.app, how: &how, action: DECIDE, hidden }).into_response()
        }
        Err(_) => (StatusCode::BAD_REQUEST, code_form(&tenant, Some(&form.user_code))).into_response(),
    }
}

#[derive(Debug, Deserialize)]
pub struct Decided {
    user_code: String,
    #[serde(default)]
    upn: String,
    decision: String,
}

/// `POST /devicelogin/decide`: approved or declined.
pub async fn decided(State(tenant): State<Tenant>, Form(form): Form<Decided>) -> Response {
    let approves = form.decision == "approve";
    let done =
        if approves { tenant.approve(&form.user_code, Some(&form.upn)) } else { tenant.decline(&form.user_code) };
    match done {
        Ok(()) if approves => {
            let body = format!(
                "<p>You are signed in as <strong>{}</strong>. Close this page and go back to the program that showed \
                 you the code.</p>",
                escape(&form.upn)
            );
            page(&tenant, "Signed in", &body).into_response()
        }
        Ok(()) => {
            let body = "<p>Nobody was signed in. If you did not ask for this code, tell your service desk that \
                        somebody sent it to you.</p>";
            page(&tenant, "Declined", body).into_response()
        }
        Err(_) => (StatusCode::BAD_REQUEST, code_form(&tenant, Some(&form.user_code))).into_response(),
    }
}

fn code_form(tenant: &Tenant, refused: Option<&str>) -> Html<String> {
    let complaint = refused.map_or(String::new(), |code| {
        format!(
            "<p class=\"warn\" role=\"alert\" id=\"complaint\">No sign-in waits under <code>{}</code>. It may have \
             expired or have been used. Look at the code again, or ask for a new one.</p>",
            escape(code)
        )
    });
    let described = if refused.is_some() { " aria-invalid=\"true\" aria-describedby=\"complaint\"" } else { "" };
    let body = format!(
        "{complaint}<form method=\"post\" action=\"{PATH}\"><label class=\"code\" for=\"user_code\">The code that your \
         program shows</label><input type=\"text\" id=\"user_code\" name=\"user_code\" required autofocus \
         autocomplete=\"off\" autocapitalize=\"characters\" spellcheck=\"false\" maxlength=\"20\"{described}>{WARNING}\
         <div class=\"buttons\"><button type=\"submit\">Next</button></div></form>"
    );
    page(tenant, "Enter the code", &body)
}

/// What a person is asked to decide about.
pub struct Asks<'a> {
    pub app: &'a str,
    /// By which way the program wants to sign in.
    pub how: &'a str,
    /// Where the form is sent.
    pub action: &'a str,
    /// Fields it brings back as they are.
    pub hidden: Vec<(&'a str, &'a str)>,
}

/// The page where a person says who they are, and approves or declines.
pub fn decision_form(tenant: &Tenant, asks: &Asks<'_>) -> Html<String> {
    let mut choices = String::new();
    for (n, person) in people(tenant).iter().enumerate() {
        let checked = if n == 0 { " checked" } else { "" };
        let _ = write!(
            choices,
            "<label class=\"person\"><input type=\"radio\" name=\"upn\" value=\"{upn}\"{checked}><span>{name}\
             <small>{upn}</small><small>{standing}</small></span></label>",
            upn = escape(&person.upn),
            name = escape(&person.name),
            standing = escape(&person.standing()),
        );
    }
    let mut hidden = String::new();
    for (name, value) in &asks.hidden {
        let _ = write!(hidden, "<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value));
    }
    let body = format!(
        "<p>A program that calls itself <strong>{app}</strong> wants to sign in {how}.</p>{WARNING}\
         <form method=\"post\" action=\"{action}\">{hidden}<fieldset><legend>Sign in as</legend>{choices}</fieldset>\
         <div class=\"buttons\"><button type=\"submit\" name=\"decision\" value=\"approve\">Approve</button>\
         <button type=\"submit\" class=\"other\" name=\"decision\" value=\"decline\">Decline</button></div></form>",
        app = escape(asks.app),
        how = escape(asks.how),
        action = escape(asks.action),
    );
    page(tenant, "Is it you who is signing in?", &body)
}

/// The people somebody may sign in as: those the scenario names, the technician first.
fn people(tenant: &Tenant) -> Vec<Person> {
    let named = tenant.scenario().people.len();
    let mut people: Vec<Person> = tenant.with(|state, _| state.world.people.iter().take(named).cloned().collect());
    people.sort_by_key(|person| (person.upn != tenant.technician(), person.roles.is_empty()));
    people.truncate(MOST_PEOPLE);
    people
}

fn page(tenant: &Tenant, title: &str, body: &str) -> Html<String> {
    let page = PAGE.replace("{{title}}", &escape(title)).replace("{{tenant}}", &escape(tenant.name()));
    Html(page.replace("{{body}}", body))
}

/// Text for an element or a quoted attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place_in_the_page() {
        assert_eq!(escape("<a href=\"x\">'&'"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;");
    }
}
