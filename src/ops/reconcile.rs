//! What this desk recorded against what Entra recorded: gather both, compare, and write down what was found.
//!
//! Entra's log is asked behind everything else and no faster than it serves. Who may not read it hears so, as an ordinary answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    desk::{Desk, Seat, unblocked},
    domain::{
        audit::{Activity, Log, Record},
        call::{CallId, DisclosureId},
        capability::Feature,
        debt::{RotationId, RotationState},
        device::DeviceId,
        event::Event,
        foreign::{Foreign, printable},
        key_id::{KeyId, KeyPrefix},
        reconcile::{Book, Came, Input, MARGIN, Owners, Reconciliation, Terms, reconcile as compare},
        technician::UserId,
        work::{
            Failure, Kind, Progress,
            reconcile::{Answer, By, CouldNot, Report, Request},
        },
    },
    graph::{AuditQuery, ByWhom, GraphError},
    ops::Asking,
    store::{
        Ledger, Pen, TxError, debts, disclosures,
        reads::{self, Deletable, Told},
    },
};

/// Compares, and records what was newly found.
pub async fn reconcile(desk: &Desk, request: &Request, asking: &Asking) -> Result<Answer, Failure> {
    let seat = asking.behind(desk.seat()?);
    let now = desk.clock.now();
    let reach = earlier(now, request.retention);
    let terms = Terms { from: request.since.unwrap_or(reach), now, grace: request.grace, retention: request.retention };
    let told = told(desk, &request.ledgers, seat.tenant.id).await?;
    let (by, whose) = whose(&request.by, &seat, &told.technicians);
    let Told { disclosures, technicians } = told;
    let from = earlier(terms.from, MARGIN);
    let own = |id: Option<UserId>| match &by {
        ByWhom::Anyone => true,
        ByWhom::Id(wanted) => id == Some(*wanted),
        ByWhom::Named(_) => false,
    };
    let disclosures: Vec<_> = disclosures
        .into_iter()
        .filter(|one| one.expected() >= from && own(one.technician.as_ref().map(|technician| technician.id)))
        .collect();
    let mut input = Input { disclosures, technicians, ..Input::default() };

    let query = AuditQuery { activity: Activity::Read, by, from, to: None };
    let log = match seat.graph.audits(&query, |records| asking.tell(Progress::Records(records))).await {
        Ok(log) => log,
        Err(error) => return could_not(error, &input, &terms).map(Answer::CouldNot),
    };
    let names = take(&mut input, log, &seat);
    let mut result = compare(&input, &terms);
    input.owners = owners(&seat, &result).await?;
    if !input.owners.is_empty() {
        result = compare(&input, &terms);
    }
    // What was compared stands, whatever becomes of the rest.
    let (deletions, untold) = match deletions(desk, &seat, reach).await {
        Ok(deletions) => (deletions, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let deleted: Vec<KeyId> = deletions.iter().map(|(debt, _)| debt.key).collect();
    let unrecorded = record(desk, &result, &terms, deletions).await.err().or(untold);
    Ok(Answer::Checked(Box::new(Report { terms, whose, result, names, deleted, unrecorded })))
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// Everything that this ledger and the others tell of the tenant. Read through connections of their own: no call waits for it.
async fn told(desk: &Desk, others: &[PathBuf], tenant: Uuid) -> Result<Told, Failure> {
    let (own, others) = (desk.paths.ledger(), others.to_vec());
    unblocked(move || {
        let mut told = match Ledger::peek(&own)? {
            Some(ledger) => reads::told(&ledger, &Book::Own, tenant)?,
            None => Told::default(),
        };
        for path in &others {
            let other = of_another_desk(path, tenant)?;
            told.disclosures.extend(other.disclosures);
            for (id, upn) in other.technicians {
                told.technicians.entry(id).or_insert(upn);
            }
        }
        Ok(told)
    })
    .await
}

/// Believed only with a whole chain.
fn of_another_desk(path: &Path, tenant: Uuid) -> Result<Told, Failure> {
    let name = path.display().to_string();
    let unusable = |happened: String| {
        Failure::new(Kind::Usage, happened)
            .meaning("Nothing was compared.")
            .next("Ask for a fresh copy of that desk's ledger.db, or leave it out.")
    };
    let ledger = match Ledger::peek(path) {
        Ok(Some(ledger)) => ledger,
        Ok(None) => return Err(unusable(format!("There is no ledger at {name}."))),
        Err(error) => return Err(unusable(format!("{error}."))),
    };
    match ledger.verify() {
        Ok(Ok(_)) => {}
        Ok(Err(broken)) => return Err(unusable(format!("The chain of {name} is broken at {broken}."))),
        Err(error) => return Err(unusable(format!("{error}."))),
    }
    reads::told(&ledger, &Book::Other(name), tenant).map_err(|error| unusable(format!("{error}.")))
}

/// Whose records to ask for, and their name.
fn whose(by: &By, seat: &Seat, known: &BTreeMap<UserId, Foreign>) -> (ByWhom, String) {
    match by {
        By::Me => (ByWhom::Id(seat.technician.id), seat.technician.upn.to_string()),
        By::Everyone => (ByWhom::Anyone, "everyone".into()),
        By::Named(upn) => {
            let same = |known: &&Foreign| known.raw().eq_ignore_ascii_case(upn.trim());
            let id = known.iter().find(|(_, name)| same(name)).map(|(id, _)| *id);
            let by = id.map_or_else(|| ByWhom::Named(upn.trim().to_owned()), ByWhom::Id);
            (by, printable(upn.trim()))
        }
    }
}

/// Entra's records, with the device filled in from the list on this machine where a record names none; and the names of their devices.
fn take(input: &mut Input, log: Log, seat: &Seat) -> BTreeMap<DeviceId, Foreign> {
    let mut names = BTreeMap::new();
    input.unreadable = log.unreadable;
    input.records = log.records;
    for record in &mut input.records {
        let listed = KeyPrefix::read(&record.key.to_string())
            .and_then(|prefix| seat.index.by_prefix(&prefix, 1).ok())
            .and_then(|(_, _, found)| found.into_iter().next());
        if let Some(found) = listed {
            let device = *record.device.get_or_insert(found.key.device);
            names.extend(found.device.filter(|known| known.id == device).map(|known| (device, known.name)));
        }
    }
    names
}

/// Whose the devices are that were read elsewhere. What cannot be said is left out, unless nothing can be reached at all.
async fn owners(seat: &Seat, result: &Reconciliation) -> Result<BTreeMap<DeviceId, Owners>, Failure> {
    let mut owners = BTreeMap::new();
    for device in result.whose() {
        let registered = seat.graph.owners_of_device(device).await;
        let primary = seat.graph.managed_of_device(device).await;
        if let (Err(error), Err(_)) = (&registered, &primary) {
            if matches!(error, GraphError::Unreachable { .. } | GraphError::SignIn(_)) {
                return Err(error.clone().into());
            }
            tracing::debug!(%error, "nobody says whose a device is");
            continue;
        }
        let ids: BTreeSet<UserId> = registered.unwrap_or_default().into_iter().collect();
        let upns = primary.unwrap_or_default().into_iter().map(|managed| managed.owner_upn.raw().trim().to_owned());
        owners.insert(device, Owners { ids, upns: upns.filter(|upn| !upn.is_empty()).collect() });
    }
    Ok(owners)
}

/// Which disclosed keys Entra has logged as deleted, as far back as its log reaches.
async fn deletions(desk: &Desk, seat: &Seat, reach: Timestamp) -> Result<Vec<(Deletable, Record)>, Failure> {
    let tenant = seat.tenant.id;
    let open = desk.read(move |conn| reads::deletable(conn, tenant)).await?;
    let Some(oldest) = open.iter().map(|debt| earlier(debt.since, MARGIN)).min() else { return Ok(Vec::new()) };
    let query = AuditQuery { activity: Activity::Deleted, by: ByWhom::Anyone, from: oldest.max(reach), to: None };
    let log = seat.graph.audits(&query, |_| {}).await?;
    let first = |key: KeyId| {
        let of_key = log.records.iter().filter(|record| record.key == key && !record.failed);
        of_key.min_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)))
    };
    Ok(open.into_iter().filter_map(|debt| first(debt.key).map(|record| (debt, record.clone()))).collect())
}

/// What was not known before, in one transaction; each record of Entra's once.
///
/// A pair that only stands near in time is a guess while records may still come: it is shown, and written down when no better can come.
async fn record(
    desk: &Desk,
    result: &Reconciliation,
    terms: &Terms,
    deletions: Vec<(Deletable, Record)>,
) -> Result<(), Failure> {
    let found: Vec<(CallId, DisclosureId, Record)> = result
        .matched
        .iter()
        .filter(|matched| matched.disclosure.book == Book::Own)
        .flat_map(|matched| {
            let own = &matched.disclosure;
            let is_settled = own.settles(terms.grace) <= terms.now;
            let is_certain = move |record: &Record| is_settled || record.correlation == Some(own.id.0);
            let fresh = move |record: &&Record| is_certain(record) && !own.known.contains_key(&record.id);
            matched.records.iter().filter(fresh).map(|record| (own.call, own.id, record.clone()))
        })
        .collect();
    if found.is_empty() && deletions.is_empty() {
        return Ok(());
    }
    desk.record(move |pen| {
        for (call, disclosure, Record { id: audit, at, failed, .. }) in found {
            if !reads::is_recorded(pen.conn(), &audit)? {
                pen.append(Some(call), &Event::EntraRecord { disclosure, audit, at, failed })?;
                owed_again(pen, disclosure)?;
            }
        }
        // Another desk on this ledger may have been first.
        let open = match pen.stamp().tenant {
            Some(tenant) if !deletions.is_empty() => reads::deletable(pen.conn(), tenant)?,
            _ => Vec::new(),
        };
        for (debt, record) in deletions.into_iter().filter(|(debt, _)| open.contains(debt)) {
            let event = Event::KeyDeleted { debt: debt.debt, audit: record.id, at: record.at };
            pen.append(Some(debt.call), &event)?;
        }
        Ok(())
    })
    .await?;
    desk.debts_changed();
    Ok(())
}

/// Where Entra's record opens a debt again that a refusal had ended, its replacement is due.
fn owed_again(pen: &mut Pen<'_>, disclosure: DisclosureId) -> Result<(), TxError> {
    let debt = disclosures::debt_of(pen.conn(), disclosure)?;
    let Some(debt) = debts::get(pen.conn(), debt)?.filter(|debt| debt.is_open() && !debt.is_by_hand()) else {
        return Ok(());
    };
    if debt.rotation.is_some_and(|rotation| !matches!(rotation.state, RotationState::Over { .. })) {
        return Ok(());
    }
    let rotation = debts::held_for_device(pen.conn(), debt.device)?.unwrap_or_else(RotationId::new);
    pen.append(None, &Event::RotationHeld { rotation, until: pen.at(), debts: vec![debt.id] }).map(drop)
}

/// A log that is closed or not there is an answer; anything else is a failure.
fn could_not(error: GraphError, input: &Input, terms: &Terms) -> Result<Box<CouldNot>, Failure> {
    let refused = |happened: &str| Failure::new(Kind::Refused, happened);
    let report = error.report().cloned().map(Box::new);
    let failure = match &error {
        GraphError::Forbidden { code, .. } if code.to_ascii_lowercase().contains("nonpremium") => {
            refused("Could not check: this tenant's licence does not open Entra's audit log to programs.")
                .next("Look it up in the Entra portal: Monitoring, Audit logs.")
        }
        GraphError::Forbidden { .. } => refused("Could not check: your role may not read Entra's audit log.")
            .meaning("Calls work as ever. Helpdesk Administrator alone is not enough for the log.")
            .next(Feature::Audit.capability().role_help()),
        GraphError::NotFound { .. } => not_offered(404),
        GraphError::Unexpected { status: Some(status @ (400 | 501)), report: Some(report), .. }
            if report.is_services_own() =>
        {
            not_offered(*status)
        }
        _ => return Err(error.into()),
    };
    // What was never found, by what the ledger alone knows.
    let unchecked = compare(&Input { records: Vec::new(), ..input.clone() }, terms);
    let open = |came| matches!(came, Came::Served | Came::Unknown | Came::Asked);
    Ok(Box::new(CouldNot {
        failure: failure.with_report(report),
        unchecked: unchecked.missing.iter().filter(|missing| open(missing.disclosure.came)).count(),
        forgotten_soon: unchecked.forgotten_soon(),
    }))
}

fn not_offered(status: u16) -> Failure {
    Failure::new(
        Kind::Refused,
        format!("Could not check: Microsoft Graph in this cloud does not offer Entra's audit log ({status})."),
    )
    .next("Look it up in the Entra portal: Monitoring, Audit logs.")
}
