//! `keydesk reveal KEY_ID`: an implicit call under the same policy as the screen.

use serde::Serialize;

use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::{out, seat};
use crate::{
    config::Settings,
    desk::Desk,
    domain::{
        age,
        call::{Call, CallId},
        event::Stage,
        key::Key,
        key_id::{KeyPrefix, SPOKEN_LENGTH},
        recovery_password::{Fault, RecoveryPassword},
        work::{
            Failure, Kind,
            call::{Close, Open, Verify},
            disclose::{Disclosed, OnStage, Request},
            find,
        },
    },
    ops::{self, calls::Verdict},
    runtime,
};

#[derive(Debug, clap::Args)]
pub(super) struct Reveal {
    /// The key ID, whole or its first eight characters
    key_id: String,
    /// The caller's ticket
    #[arg(long, short)]
    ticket: String,
    /// Why the key is needed: an id of the policy's list; an unknown one is answered with the list
    #[arg(long, short)]
    reason: String,
    /// How the caller was verified: an id of the policy's list; an unknown one is answered with the list
    #[arg(long, value_name = "METHOD")]
    verified: String,
    /// Go on although the ticket was used for another device
    #[arg(long)]
    same_ticket: bool,
    /// Print the key to stdout, where the policy allows it
    #[arg(long)]
    print: bool,
    /// Print as JSON; with --print the key is in it
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Facts<'a> {
    key_id: String,
    disclosure: String,
    ticket: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_password: Option<&'a str>,
    replacement: &'static str,
}

impl Reveal {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        self.check(settings)?;
        let (desk, _) = seat::take(settings, no_input).await?;
        let key = find_key(&desk, &self.key_id).await?;
        let call = open_call(&desk, &key).await?;
        let result = self.disclose(&desk, &call).await;
        // Whatever came of it, the call is over.
        ops::calls::close(&desk, Close { call: call.id }.call).await?;
        result
    }

    /// What can be refused before anybody is asked to sign in.
    fn check(&self, settings: &Settings) -> Result<(), Failure> {
        let policy = &settings.policy;
        let simulation = settings.connection.as_ref().is_some_and(crate::domain::connection::Connection::is_simulation);
        if self.print && !policy.print.holds(simulation) {
            return Err(Failure::new(Kind::Refused, "The policy does not allow a key to be printed here.")
                .next("Leave --print out: the key is then shown on the alternate screen."));
        }
        policy.ticket.read(&self.ticket).map_err(|e| Failure::new(Kind::Usage, e.to_string()))?;
        let list = |ids: Vec<&str>| ids.join(", ");
        if policy.reason(&self.reason).is_none() {
            let known = list(policy.reasons.iter().map(|reason| reason.id.as_str()).collect());
            return Err(Failure::new(Kind::Usage, format!("This is no reason here. Known: {known}.")));
        }
        if policy.method(&self.verified).is_none() {
            let known = list(policy.methods.iter().map(|method| method.id.as_str()).collect());
            return Err(Failure::new(
                Kind::Usage,
                format!("This is no way of verifying a caller here. Known: {known}."),
            ));
        }
        if !self.print {
            use std::io::IsTerminal as _;
            if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
                return Err(Failure::new(Kind::Usage, "A key is shown on a terminal, and this is none.")
                    .next("Run it in a terminal; or with --print where the policy allows it."));
            }
        }
        Ok(())
    }

    async fn disclose(&self, desk: &Desk, call: &Call) -> Result<(), Failure> {
        let verify = Verify {
            call: call.id,
            method: Some(self.verified.clone()),
            claims: Vec::new(),
            // The command line compares nothing: the method is the technician's word.
            anything_known: false,
        };
        let Verdict::Verified(_) = ops::calls::verify(desk, verify).await? else {
            return Err(Failure::new(Kind::Refused, "The caller is not verified."));
        };
        let request = Request {
            call: call.id,
            key: call.key,
            ticket: self.ticket.clone(),
            reason: self.reason.clone(),
            same_ticket_confirmed: self.same_ticket,
        };
        let disclosed = ops::disclose::disclose(desk, request, &seat::prompting()).await.map_err(|failure| {
            if failure.kind == Kind::Confirm {
                failure.next("If it is the same ticket, add --same-ticket.")
            } else {
                failure
            }
        })?;
        for warning in warnings(&disclosed) {
            out::note(&warning);
        }
        self.hand_out(desk, call, &disclosed).await?;
        note_debt(desk, call.id).await
    }

    async fn hand_out(&self, desk: &Desk, call: &Call, disclosed: &Disclosed) -> Result<(), Failure> {
        let stage = |what| OnStage { call: call.id, disclosure: disclosed.disclosure, what };
        let key = joined(&disclosed.password);
        if self.print {
            ops::disclose::on_stage(desk, stage(Stage::Printed)).await?;
            if !self.json {
                return out::line(&key);
            }
        } else {
            ops::disclose::on_stage(desk, stage(Stage::Shown)).await?;
            let head = format!("{}  {}", call.device_name, call.key.spoken());
            let longest = desk.policy.conceal_after;
            let end = format!("Any key conceals it; it goes by itself after {}.", age::short(longest));
            let lines = [head.as_str(), "", key.as_str(), "", end.as_str()];
            runtime::show_until_key(&lines, longest)
                .map_err(|e| Failure::new(Kind::Failed, format!("The terminal failed: {e}.")))?;
            ops::disclose::on_stage(desk, stage(Stage::Dropped)).await?;
        }
        if self.json {
            return out::json(&Facts {
                key_id: call.key.to_string(),
                disclosure: disclosed.disclosure.to_string(),
                ticket: &desk.policy.ticket.complete(&self.ticket),
                recovery_password: self.print.then_some(key.as_str()),
                replacement: "owed",
            });
        }
        Ok(())
    }
}

/// The blocks with hyphens between, for a screen or a pipe.
fn joined(password: &RecoveryPassword) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(64));
    for n in 0..password.len() {
        if let Some(block) = password.block(n) {
            if n > 0 {
                text.push('-');
            }
            text.push_str(block.expose_secret());
        }
    }
    text
}

fn warnings(disclosed: &Disclosed) -> Vec<String> {
    let mut said: Vec<String> = disclosed
        .faults
        .iter()
        .map(|fault| match fault {
            Fault::Block(n) => {
                format!("Block {n} fails Microsoft's check. Read it as it stands: it is what Entra holds.")
            }
            Fault::Length(n) => format!("Entra holds {} instead of eight.", age::count(*n, "block")),
        })
        .collect();
    said.extend(disclosed.record_warning.clone());
    said
}

async fn note_debt(desk: &Desk, call: CallId) -> Result<(), Failure> {
    let note = ops::calls::note(desk, call).await?;
    for debt in note.debts.iter().filter(|debt| debt.is_open()) {
        out::note(&format!(
            "{} is owed a replacement. {}",
            debt.key.short(),
            debt.sentence(desk.clock.now(), &desk.zone)
        ));
        out::note(&format!("`keydesk rotate {} --ticket {}` sends it now.", debt.device, debt.ticket));
    }
    Ok(())
}

/// The one key meant by a whole key ID, or by a beginning of at least eight characters.
async fn find_key(desk: &Desk, text: &str) -> Result<Key, Failure> {
    let prefix = KeyPrefix::read(text).filter(|prefix| prefix.heard() >= SPOKEN_LENGTH).ok_or_else(|| {
        Failure::new(Kind::Usage, "This is no key ID: at least its first eight characters are needed.")
    })?;
    if let Some(id) = prefix.whole() {
        let seat = desk.seat()?;
        return Ok(seat.graph.key_metadata(id).await?);
    }
    let seat = seat::with_index(desk).await?;
    let (total, _, found) = seat.index.by_prefix(&prefix, 2)?;
    match &found[..] {
        [find::KeyMatch { key, .. }] => Ok(key.clone()),
        [] => Err(Failure::new(Kind::NotFound, format!("No key begins with {}.", prefix.spoken()))),
        _ => Err(Failure::new(
            Kind::Usage,
            format!("{} begin with {}; give the whole key ID.", age::count(total, "key"), prefix.spoken()),
        )),
    }
}

async fn open_call(desk: &Desk, key: &Key) -> Result<Call, Failure> {
    let seat = desk.seat()?;
    let device_name = seat.graph.device(key.device).await?.map(|device| device.name).unwrap_or_default();
    let open = Open { key: key.id, volume: key.volume, device: key.device, device_name, heard: SPOKEN_LENGTH };
    ops::calls::open(desk, open).await
}
