//! Where a replacement goes: each situation of `tests/targets` through the real ops, against the simulated tenant over HTTP.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{fs, path::PathBuf, time::Duration};

use common::*;
use keydesk::{
    domain::{
        debt::{Debt, DebtState},
        work::debts::{How, Settle},
    },
    ops,
    simulation::{self, Fault, Options, Source},
};
use rstest::rstest;
use serde::Deserialize;

/// What every situation begins with.
const HEAD: &str = r#"
[tenant]
name = "Harborview Clinics"
domain = "harborview.example"
client_id = "7c1d8f4e-52a6-4b0e-9a53-1f0d6c2e8b71"
technician = "dana@harborview.example"
[sign_in]
interval = "1s"
[[person]]
upn = "dana@harborview.example"
name = "Dana Reyes"
roles = ["Helpdesk Administrator"]
intune_roles = ["Help Desk Operator"]
[[person]]
upn = "mara.voss@harborview.example"
name = "Mara Voss"
[[person]]
upn = "owen.hale@harborview.example"
name = "Owen Hale"
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The key that is disclosed: how its ID begins.
    disclose: String,
    /// What goes wrong when the replacement is to be sent, and once it is.
    #[serde(default)]
    faults: Vec<Fault>,
    #[serde(default)]
    faults_after: Vec<Fault>,
    /// Seconds of the tenant's time before the replacement is sent.
    #[serde(default)]
    advance: u64,
    /// Then a person chooses the Intune object of the device that holds this key.
    choose: Option<String>,
    expect: Expect,
    /// The tenant's devices, as a scenario writes them.
    devices: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// One word, as the list says it, in the end.
    state: String,
    /// In what it waits for.
    sentence: String,
    /// Requests that Intune took.
    sent: usize,
    /// The Entra device the request went to: the one that held this key.
    to: Option<String>,
}

#[rstest]
#[tokio::test]
async fn each_situation_ends_in_its_state_and_sentence(#[files("tests/targets/*.toml")] path: PathBuf) {
    let case: Case = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let options = Options {
        scenario: Source::Text(format!("{HEAD}\n{}", case.devices)),
        speed: 2000.0,
        auto_approve: Some(Duration::ZERO),
        ..Options::default()
    };
    let tenant = simulation::start(options).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let desk = desk(&tenant, home.path()).await;
    let devices: Vec<_> = case.expect.to.iter().chain(&case.choose).map(|key| device_of(&desk, key)).collect();
    let call = verified_call(&desk, &case.disclose).await;
    disclose(&desk, &call).await.unwrap();
    tenant.tenant().advance(Duration::from_secs(case.advance));
    case.faults.into_iter().for_each(|fault| tenant.tenant().fault(fault));
    ops::rotate::send_for_call(&desk, call.id).await.unwrap();
    case.faults_after.into_iter().for_each(|fault| tenant.tenant().fault(fault));
    if case.choose.is_some() {
        let owed = only(ops::debts::list(&desk).await.unwrap());
        let candidates = match &owed.rotation.as_ref().unwrap().state {
            keydesk::domain::debt::RotationState::Blocked { why, .. } => why.candidates().to_vec(),
            other => panic!("nothing to choose: {other:?}"),
        };
        let chosen = candidates.iter().find(|candidate| candidate.device == *devices.last().unwrap()).unwrap();
        let how = How::Target { managed: chosen.managed };
        ops::debts::settle(&desk, Settle { debt: owed.id, how }).await.unwrap();
    }
    let owed = only(
        follow(&desk, |debts| {
            let debt = &debts[0];
            debt.word() == case.expect.state || debt.is_blocked() || matches!(debt.state, DebtState::Proved { .. })
        })
        .await,
    );
    let said = owed.sentence(desk.clock.now(), &desk.zone);
    assert_eq!((owed.word(), rotations(&tenant).len()), (case.expect.state.as_str(), case.expect.sent), "{said}");
    assert!(said.contains(&case.expect.sentence), "{said}");
    if case.expect.to.is_some() {
        assert_eq!(owed.rotation.as_ref().unwrap().target.unwrap().device, devices[0]);
    }
    let rows = desk.ledger().rows(1).unwrap();
    let chosen = rows.iter().any(|row| {
        matches!(&row.event, keydesk::domain::event::Event::RotationTargeted { chosen: true, .. })
            && row.stamp.technician.is_some()
    });
    assert_eq!(chosen, case.choose.is_some(), "who chose a target stands in the ledger");
}

fn only(mut debts: Vec<Debt>) -> Debt {
    assert_eq!(debts.len(), 1);
    debts.remove(0)
}
