//! What people decide about debts, through the ops, against the simulated tenant over HTTP.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::time::Duration;

use common::*;
use keydesk::{
    desk::Desk,
    domain::{
        debt::{Block, DebtState, RotationState, Source},
        event::Event,
        key_id::KeyId,
        policy::Proof,
        work::{
            Failure, Kind,
            debts::{How, Settle, WrongPerson},
            external::Request,
        },
    },
    ops,
    simulation::{self, Options},
};
use rstest::rstest;
use secrecy::ExposeSecret as _;

async fn settle(desk: &Desk, how: How) -> Result<Vec<keydesk::domain::debt::Debt>, Failure> {
    let debt = ops::debts::list(desk).await.unwrap()[0].id;
    ops::debts::settle(desk, Settle { debt, how }).await
}

#[tokio::test]
async fn a_key_the_wrong_person_heard_is_replaced_at_once_and_its_discloser_cannot_waive_it() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let first = desk(&tenant, home.path()).await;
    let other = verified_call(&first, "7A41C09E").await;
    disclose(&first, &other).await.unwrap();
    let call = verified_call(&first, "1FE6B83D").await;
    let request = keydesk::domain::work::disclose::Request { same_ticket_confirmed: true, ..request(&call, TICKET) };
    let disclosed = ops::disclose::disclose(&first, request, &ops::Asking::quietly()).await.unwrap();
    let wrong = WrongPerson { call: call.id, disclosure: disclosed.disclosure, words: "a stranger\u{202e}".into() };
    let listed = ops::debts::wrong_person(&first, wrong).await.unwrap();
    assert_eq!(listed[0].key, call.key, "the urgent one stands first");
    assert!(listed[0].is_urgent() && !listed[1].is_urgent());
    assert!(listed[0].is_sent(), "{:#?}", listed[0]);
    assert_eq!(rotations(&tenant).len(), 1, "only the urgent one has left");
    let refused = settle(&first, How::Waive { reason: "it is fine".into() }).await.unwrap_err();
    assert!(refused.happened.contains("you cannot waive this debt"), "{refused}");
    let refused = settle(&first, How::Confirm { new_key: None, how: "I say so".into() }).await.unwrap_err();
    assert!(refused.happened.contains("you cannot waive this debt"), "{refused}");
    let note = ops::calls::note(&first, call.id).await.unwrap().note.text();
    assert!(note.contains("read to the wrong person"), "{note}");
    let rows = first.ledger().rows(1).unwrap();
    let words = rows.iter().find_map(|row| match &row.event {
        Event::Compromised { words, .. } => Some(words.as_str()),
        _ => None,
    });
    assert_eq!(words, Some("a stranger\\u{202e}"));
    // Signing out does not help the discloser.
    ops::sign_in::sign_out(&first).await.unwrap();
    let refused = settle(&first, How::Waive { reason: "it is fine".into() }).await.unwrap_err();
    assert!(refused.happened.contains("sign in"), "{refused}");
}

#[tokio::test]
async fn a_colleague_may_waive_what_the_wrong_person_heard() {
    let options = Options { scenario: simulation::Source::Small, speed: 400.0, ..Options::default() };
    let tenant = simulation::start(options).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let approve_as = |upn: &'static str| {
        let tenant = tenant.tenant().clone();
        move |progress| {
            if let keydesk::domain::work::Progress::DeviceCode(code) = progress {
                tenant.approve(&code.user_code, Some(upn)).unwrap();
            }
        }
    };
    let mut desks = Vec::new();
    for upn in ["dana@harborview.example", "sam@harborview.example"] {
        let desk = std::sync::Arc::new(
            Desk::open(&settings(&tenant, home.path(), QUICK), keydesk::desk::Clock::system()).unwrap(),
        );
        let asking = ops::Asking::new(approve_as(upn), tokio_util::sync::CancellationToken::new());
        let prompt = keydesk::domain::work::sign_in::Prompt::by(keydesk::domain::work::sign_in::Way::DeviceCode);
        if matches!(ops::sign_in::sign_in(&desk, &prompt, &asking).await.unwrap(), ops::sign_in::Arrival::Another(_)) {
            ops::sign_in::confirm(&desk).await.unwrap();
        }
        desks.push(desk);
    }
    let (dana, sam) = (&desks[0], &desks[1]);
    ops::sync_index::sync_index(dana, &ops::Asking::quietly()).await.unwrap();
    let call = verified_call(dana, "1FE6B83D").await;
    disclose(dana, &call).await.unwrap();
    settle(dana, How::Compromised { words: String::new() }).await.unwrap();
    assert!(settle(dana, How::Waive { reason: "it is fine".into() }).await.is_err());
    let listed = settle(sam, How::Waive { reason: "the laptop was destroyed".into() }).await.unwrap();
    assert!(matches!(listed[0].state, DebtState::Waived { .. }));
    // Read to the wrong person once more: who waived it did not know.
    let debt = listed[0].id;
    let how = How::Compromised { words: String::new() };
    let listed = ops::debts::settle(sam, Settle { debt, how }).await.unwrap();
    assert!(listed[0].is_urgent());
}

#[tokio::test]
async fn an_urgent_replacement_is_not_put_on_hold_and_one_on_hold_is_released() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, "35B7C4E8").await;
    disclose(&desk, &call).await.unwrap();
    settle(&desk, How::Hold).await.unwrap();
    let listed = settle(&desk, How::Compromised { words: String::new() }).await.unwrap();
    let state = &listed[0].rotation.as_ref().unwrap().state;
    assert!(matches!(state, RotationState::Blocked { why: Block::SeveralManagedDevices { .. }, .. }), "{state:?}");
    let refused = settle(&desk, How::Hold).await.unwrap_err();
    assert!(refused.happened.contains("urgent"), "{refused}");
}

#[tokio::test]
async fn what_pays_an_urgent_debt_is_not_put_on_hold_by_way_of_its_neighbour() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, "35B7C4E8").await;
    disclose(&desk, &call).await.unwrap();
    let device = device_of(&desk, "35B7C4E8");
    let neighbour = external(Source::Paper, Some(device), key_id_of("e5d20b8f"));
    let neighbour = ops::external::record(&desk, neighbour).await.unwrap();
    let urgent = ops::debts::list(&desk).await.unwrap().into_iter().find(|debt| debt.id != neighbour.id).unwrap();
    let compromised = How::Compromised { words: String::new() };
    ops::debts::settle(&desk, Settle { debt: urgent.id, how: compromised }).await.unwrap();
    let hold = Settle { debt: neighbour.id, how: How::Hold };
    let refused = ops::debts::settle(&desk, hold).await.unwrap_err();
    assert!(refused.happened.contains("urgent"), "{refused}");
    let debts = ops::debts::list(&desk).await.unwrap();
    assert!(debts.iter().all(|debt| debt.word() == "blocked"), "{debts:#?}");
}

#[tokio::test]
async fn confirming_first_settles_nothing_once_the_wrong_person_heard_it() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, "1FE6B83D").await;
    disclose(&desk, &call).await.unwrap();
    let confirm = How::Confirm { new_key: Some(key_id_of("e5d20b8f")), how: "I saw it".into() };
    let listed = settle(&desk, confirm).await.unwrap();
    assert!(matches!(listed[0].state, DebtState::Proved { grade: Proof::ByHand, .. }));
    let listed = settle(&desk, How::Compromised { words: String::new() }).await.unwrap();
    assert!(listed[0].is_urgent() && listed[0].is_sent(), "{listed:#?}");
}

#[rstest]
#[case::waived(|words| How::Waive { reason: words })]
#[case::confirmed(|words| How::Confirm { new_key: None, how: words })]
#[case::compromised(|words| How::Compromised { words })]
#[tokio::test]
async fn digits_of_a_key_in_words_are_refused_and_written_nowhere(#[case] how: fn(String) -> How) {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, "1FE6B83D").await;
    let disclosed = disclose(&desk, &call).await.unwrap();
    let blocks: Vec<&str> = (0..8).map(|n| disclosed.password.block(n).unwrap().expose_secret()).collect();
    let head = desk.ledger().head().unwrap();
    for words in [blocks.join("-"), blocks.concat(), format!("I read {} {} to them", blocks[3], blocks[4])] {
        let refused = settle(&desk, how(words)).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Usage);
        assert!(refused.happened.contains("digits of a recovery password"), "{refused}");
        assert!(blocks.iter().all(|block| !format!("{refused:?}").contains(block)));
    }
    // By a way that asks for no words of its own.
    let mut elsewhere = external(Source::Paper, None, key_id_of("e5d20b8f"));
    elsewhere.device_name = blocks.join("-").as_str().into();
    let refused = ops::external::record(&desk, elsewhere).await.unwrap_err();
    assert!(refused.happened.contains("digits of a recovery password"), "{refused}");
    assert_eq!(desk.ledger().head().unwrap(), head);
}

fn key_id_of(first: &str) -> KeyId {
    KeyId(format!("{first}-6e1d-4c0b-9f7a-0b5d8b3c2a11").parse().unwrap())
}

fn external(source: Source, device: Option<keydesk::domain::device::DeviceId>, key: KeyId) -> Request {
    Request {
        key,
        source,
        device_name: "HVC-LT-0421".into(),
        device,
        ticket: TICKET.into(),
        reason: "windows-update".into(),
        method: "called-back".into(),
        claims: vec![],
    }
}

#[rstest]
#[tokio::test]
async fn a_key_read_elsewhere_is_owed_until_a_person_confirms_it(
    #[values(Source::Ad, Source::Mbam, Source::Paper, Source::Portal)] source: Source,
) {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk_with(&tenant, home.path(), "[limits]\nper_hour = 1\n").await;
    let key = KeyId("4f2b91c0-6e1d-4c0b-9f7a-0b5d8b3c2a11".parse().unwrap());
    let debt = ops::external::record(&desk, external(source, None, key)).await.unwrap();
    assert_eq!((debt.word(), debt.is_blocked(), debt.is_unsent()), ("by hand", true, false));
    let said = debt.sentence(desk.clock.now(), &desk.zone);
    assert!(said.starts_with(&format!("Read from {}; no remote action reaches it.", source.words())), "{said}");
    assert!(settle(&desk, How::Retry).await.unwrap_err().happened.contains("No remote action"));
    // Entra gave nothing out: the next key is within the limit.
    let call = verified_call(&desk, PREFIX).await;
    let confirmed = keydesk::domain::work::disclose::Request { same_ticket_confirmed: true, ..request(&call, TICKET) };
    ops::disclose::disclose(&desk, confirmed, &ops::Asking::quietly()).await.unwrap();
    let how = How::Confirm { new_key: Some(key), how: "manage-bde at the laptop".into() };
    let refused = ops::debts::settle(&desk, Settle { debt: debt.id, how }).await.unwrap_err();
    assert!(refused.happened.contains("another key ID"), "{refused}");
    let how = How::Confirm { new_key: None, how: " ".into() };
    assert_eq!(ops::debts::settle(&desk, Settle { debt: debt.id, how }).await.unwrap_err().kind, Kind::Usage);
    let how = How::Confirm { new_key: None, how: "manage-bde at the laptop".into() };
    let listed = ops::debts::settle(&desk, Settle { debt: debt.id, how }).await.unwrap();
    let ended = listed.iter().find(|listed| listed.id == debt.id).unwrap();
    assert!(matches!(ended.state, DebtState::Proved { grade: Proof::ByHand, new_key: None, .. }), "{ended:#?}");
}

#[tokio::test]
async fn a_key_read_elsewhere_of_a_laptop_in_entra_is_replaced_like_any_other() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let (key, device) = (key_id(&desk, PREFIX), device_of(&desk, PREFIX));
    let debt = ops::external::record(&desk, external(Source::Portal, Some(device), key)).await.unwrap();
    assert_eq!(debt.word(), "held");
    settle(&desk, How::Retry).await.unwrap();
    let debts = follow(&desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
    assert!(matches!(debts[0].state, DebtState::Proved { new_key: Some(_), .. }), "{debts:#?}");
    let before = debts[0].clone();
    desk.ledger().rebuild().unwrap();
    assert_eq!(ops::debts::list(&desk).await.unwrap(), [before]);
}

#[tokio::test]
async fn a_new_key_that_may_be_another_drives_is_confirmed_by_a_person() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    // The kind of this volume is not known to Entra; the key that comes could be any drive's.
    let device = device_of(&desk, PREFIX);
    let key = KeyId("77777777-6e1d-4c0b-9f7a-0b5d8b3c2a11".parse().unwrap());
    ops::external::record(&desk, external(Source::Paper, Some(device), key)).await.unwrap();
    settle(&desk, How::Retry).await.unwrap();
    let doubted = follow(&desk, |debts| debts[0].is_blocked()).await[0].doubted().unwrap();
    let listed = settle(&desk, How::Confirm { new_key: None, how: "compared on the phone".into() }).await.unwrap();
    let DebtState::Proved { grade, new_key, .. } = listed[0].state else { panic!("{listed:#?}") };
    assert_eq!((grade, new_key), (Proof::Probable, Some(doubted)));
}

#[tokio::test]
async fn that_entra_deleted_the_key_confirms_a_new_key_seen() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let lines = format!("{QUICK}[proof]\ncloses = \"confirmed\"\n");
    let desk = desk_with(&tenant, home.path(), &lines).await;
    // Its Windows replaces the key by itself, so no success is ever reported.
    let call = verified_call(&desk, "04C7AE96").await;
    disclose(&desk, &call).await.unwrap();
    tenant.tenant().advance(Duration::from_hours(1));
    let debt = ops::debts::list(&desk).await.unwrap()[0].clone();
    let at = desk.clock.now();
    let deleted = Event::KeyDeleted { debt: debt.id, audit: "audit-1".into(), at };
    desk.record(move |pen| pen.append(None, &deleted)).await.unwrap();
    ops::rotate::send_for_call(&desk, call.id).await.unwrap();
    let debt = ops::debts::list(&desk).await.unwrap()[0].clone();
    assert!(matches!(debt.state, DebtState::Proved { grade: Proof::Confirmed, .. }), "{debt:#?}");
    assert!(debt.sentence(at, &desk.zone).contains("Entra logged that the old one is deleted"));
    assert_eq!(rotations(&tenant).len(), 0);
}
