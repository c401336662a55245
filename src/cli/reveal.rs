//! `keydesk reveal KEY_ID`: an implicit call under the same policy as the screen.

use serde::Serialize;

use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::{
    out,
    seat::{self, Manner},
};
use crate::{
    config::Settings,
    desk::Desk,
    domain::{
        age,
        call::{Call, CallId},
        caller::{Claim, Compared, Fact, compare},
        device::ManagedDevice,
        event::Stage,
        foreign::printable,
        key::Key,
        key_id::{KeyPrefix, SPOKEN_LENGTH},
        recovery_password::{Fault, RecoveryPassword},
        verdict::Verdict,
        work::{
            Failure, Kind,
            call::{Open, Verify},
            disclose::{Disclosed, OnStage, Request},
            find,
            open_device::{self, Card},
        },
    },
    ops::{self, calls::Caller},
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
    /// What the caller claims, compared with what Intune knows: name=…, model=… or serial=…; once for each
    #[arg(long = "claim", value_name = "FACT=SAID")]
    claims: Vec<Said>,
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

/// One claim of the caller.
#[derive(Clone, Debug)]
pub(super) struct Said {
    fact: Fact,
    said: String,
}

impl std::str::FromStr for Said {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, said) = text.split_once('=').ok_or("a claim is written name=…, model=… or serial=…")?;
        let fact = Fact::ALL.into_iter().find(|fact| fact.label().eq_ignore_ascii_case(name.trim()));
        let fact = fact.ok_or_else(|| format!("{} cannot be compared: name, model and serial can", printable(name)))?;
        Ok(Self { fact, said: said.to_owned() })
    }
}

impl Reveal {
    pub(super) async fn run(self, settings: &Settings, no_input: bool) -> Result<(), Failure> {
        self.check(settings)?;
        let manner = Manner::usual(no_input);
        seat::at(settings, manner.clone(), async |desk, _| self.reveal(desk, manner).await).await
    }

    async fn reveal(&self, desk: &Desk, manner: Manner) -> Result<(), Failure> {
        let key = find_key(desk, &self.key_id).await?;
        let request = open_device::Request { device: key.device, asked: Some(key.id) };
        let card = ops::open_device::open_device(desk, request, &seat::prompting()).await?;
        let verify = self.compare(desk, &card)?;
        seat::unlock(desk, manner).await?;
        let call = open_call(desk, &key, &card).await?;
        let result = self.disclose(desk, &call, Verify { call: call.id, ..verify }).await;
        // Whatever came of it, the call is over; that it cannot be closed takes nothing from what was handed out.
        let is_open = ops::calls::list(desk).await.is_ok_and(|calls| calls.iter().any(|open| open.id == call.id));
        if is_open && let Err(failure) = ops::calls::close(desk, call.id).await {
            out::note(&format!("The call could not be closed in the ledger: {}", failure.happened));
        }
        result
    }

    /// What the caller claims against what Intune knows, as it will be recorded: refused here where too little is compared.
    fn compare(&self, desk: &Desk, card: &Card) -> Result<Verify, Failure> {
        if let Some(failure) = &card.managed_failure {
            out::note(&format!("Intune could not be asked, so no claim can be compared: {failure}"));
        }
        let claims = compared(&self.claims, &card.managed);
        let verify =
            Verify { call: CallId::new(), method: Some(self.verified.clone()), known: card.knowledge(), claims };
        let differs = verify.claims.iter().any(|claim| claim.compared == Compared::Mismatch);
        if !differs && desk.policy.allows_verification(&verify.claims, verify.known).is_err() {
            let options: Vec<String> = Fact::ALL
                .into_iter()
                .filter(|fact| is_known(*fact, &card.managed))
                .map(|fact| format!("--claim {}=…", fact.label().to_lowercase()))
                .collect();
            let needed = age::count(desk.policy.claims_required, "claim");
            return Err(Failure::new(Kind::Refused, format!("The policy wants {needed} of the caller compared."))
                .next(format!("Ask the caller, and add what they say: {}.", options.join(" or "))));
        }
        Ok(verify)
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
        for (n, claim) in self.claims.iter().enumerate() {
            if self.claims[..n].iter().any(|before| before.fact == claim.fact) {
                let name = claim.fact.label().to_lowercase();
                return Err(Failure::new(Kind::Usage, format!("{name} is claimed twice: give each fact once.")));
            }
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

    async fn disclose(&self, desk: &Desk, call: &Call, verify: Verify) -> Result<(), Failure> {
        if let Some(claim) = verify.claims.iter().find(|claim| claim.compared == Compared::Mismatch) {
            let fact = claim.fact.label().to_lowercase();
            // On record: who tries one claim after another leaves a row for each.
            ops::calls::verify(desk, Verify { method: None, ..verify }).await?;
            return Err(Failure::new(Kind::Refused, format!("The caller's {fact} is not what Intune knows."))
                .meaning("The refusal is on record, and nothing was asked for.")
                .next("Ask again; a caller who cannot be verified gets no key."));
        }
        let Caller::Verified(_) = ops::calls::verify(desk, verify).await? else {
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

    /// Prints or shows the key. It was handed out: a row that cannot be written is said, and keeps it from nobody.
    async fn hand_out(&self, desk: &Desk, call: &Call, disclosed: &Disclosed) -> Result<(), Failure> {
        let record = async |what| {
            let stage = OnStage { call: call.id, disclosure: disclosed.disclosure, what };
            if let Err(failure) = ops::disclose::on_stage(desk, stage).await {
                out::note(&format!(
                    "What follows could not be written down ({}) The intent is on record.",
                    failure.happened
                ));
            }
        };
        let key = joined(&disclosed.password);
        if self.print {
            record(Stage::Printed).await;
            if !self.json {
                return out::line(&key);
            }
        } else {
            record(Stage::Shown).await;
            let head = format!("{}  {}", call.device_name, call.key.spoken());
            let longest = desk.policy.conceal_after.min(desk.policy.drop_after);
            let end = format!("Any key conceals it; it goes by itself after {}.", age::short(longest));
            let lines = [head.as_str(), "", key.as_str(), "", end.as_str()];
            let shown = runtime::show_until_key(&lines, longest).await;
            record(Stage::Dropped).await;
            shown.map_err(|e| Failure::new(Kind::Failed, format!("The terminal failed: {e}.")))?;
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

/// Each fact with how its claim compares, as it is recorded.
pub(super) fn compared(said: &[Said], managed: &[ManagedDevice]) -> Vec<Claim> {
    let of = |fact| said.iter().find(|claim| claim.fact == fact).map_or("", |claim| claim.said.as_str());
    compare(&Fact::ALL.map(|fact| (fact, of(fact))), managed)
}

/// Whether Intune knows something of the fact.
fn is_known(fact: Fact, managed: &[ManagedDevice]) -> bool {
    compare(&[(fact, "anything")], managed).iter().all(|claim| claim.compared != Compared::Unknown)
}

/// The blocks with hyphens between, for a screen or a pipe. What is no digit was chosen by whoever wrote it to Entra: written out.
fn joined(password: &RecoveryPassword) -> Zeroizing<String> {
    // Never grown, so that no copy is left behind: a character written out takes at most ten.
    let room = (0..password.len()).filter_map(|n| password.block(n)).map(|block| 10 * block.expose_secret().len() + 1);
    let mut text = Zeroizing::new(String::with_capacity(room.sum()));
    for n in 0..password.len() {
        let Some(block) = password.block(n) else { continue };
        if n > 0 {
            text.push('-');
        }
        for c in block.expose_secret().chars() {
            if c.is_ascii_digit() || c == '-' {
                text.push(c);
            } else {
                text.push_str(&Zeroizing::new(printable(c.encode_utf8(&mut [0; 4]))));
            }
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
            super::debts::sentence(debt, desk.clock.now(), &desk.zone)
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

async fn open_call(desk: &Desk, key: &Key, card: &Card) -> Result<Call, Failure> {
    let device_name = card.device.as_ref().map(|device| device.name.clone()).unwrap_or_default();
    let why = card.verdict.as_ref().map(Verdict::why);
    let open = Open { key: key.id, volume: key.volume, device: key.device, device_name, heard: SPOKEN_LENGTH, why };
    ops::calls::open(desk, open).await
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn what_is_no_digit_reaches_no_terminal_as_it_came() {
        let read = |text: &str| RecoveryPassword::read(&SecretString::from(text));
        assert_eq!(*joined(&read("111111-2\u{1b}[2J-\u{202e}3")), "111111-2\\u{1b}[2J-\\u{202e}3");
        let plain = "537284-046310-447106-391402-120824-665038-083743-710259";
        assert_eq!(*joined(&read(plain)), plain);
    }

    #[test]
    fn a_claim_names_its_fact() {
        let claim: Said = "Name=mara = voss".parse().unwrap();
        assert_eq!((claim.fact, claim.said.as_str()), (Fact::Name, "mara = voss"));
        assert!("mara voss".parse::<Said>().unwrap_err().contains("serial=…"));
        assert!("shoe size=44".parse::<Said>().unwrap_err().contains("cannot be compared"));
    }
}
