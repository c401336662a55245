use proptest::prelude::*;
use rstest::rstest;
use uuid::Uuid;

use super::*;

const NOW: i64 = 1_800_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds).unwrap()
}

fn terms() -> Terms {
    Terms { from: at(-30 * 86_400), now: at(0), grace: GRACE, retention: RETENTION }
}

fn person(n: u128) -> Technician {
    let upn = format!("tech{n}@x.example");
    Technician { id: UserId(Uuid::from_u128(n)), upn: upn.as_str().into(), name: "T".into() }
}

/// One of technician `who` about key `key`, `seconds` from now on both clocks.
fn disclosure(id: u128, who: u128, key: u128, seconds: i64, came: Came) -> Disclosure {
    Disclosure {
        id: DisclosureId(Uuid::from_u128(0xD000 + id)),
        book: Book::Own,
        technician: Some(person(who)),
        key: KeyId(Uuid::from_u128(key)),
        device: DeviceId(Uuid::from_u128(key + 100)),
        device_name: "HVC-LT-0421".into(),
        ticket: serde_json::from_str("\"INC0048213\"").unwrap(),
        call: CallId(Uuid::from_u128(1)),
        at: at(seconds),
        entra_time: Some(at(seconds)),
        came,
        known: BTreeMap::new(),
    }
}

fn record(id: &str, who: u128, key: u128, seconds: i64) -> Record {
    let Technician { id: user, upn, .. } = person(who);
    Record {
        id: id.into(),
        at: at(seconds),
        actor: Actor::Person { id: Some(user), upn },
        key: KeyId(Uuid::from_u128(key)),
        device: Some(DeviceId(Uuid::from_u128(key + 100))),
        correlation: None,
        failed: false,
    }
}

fn compared(disclosures: Vec<Disclosure>, records: Vec<Record>) -> Reconciliation {
    reconcile(&Input { disclosures, records, ..Input::default() }, &terms())
}

/// Disclosures with the records they were matched with, the oldest first.
fn matches(result: &Reconciliation) -> Vec<(u128, Vec<&str>)> {
    let line = |one: &'_ Matched| one.disclosure.id.0.as_u128() - 0xD000;
    result.matched.iter().rev().map(|one| (line(one), one.records.iter().map(|r| r.id.as_str()).collect())).collect()
}

#[rstest]
#[case::the_same_second(-7200, true)]
#[case::minutes_later(-7200 + 540, true)]
#[case::a_clock_a_little_behind(-7200 - 90, true)]
#[case::much_later(-7200 + 1200, false)]
#[case::before(-7200 - 300, false)]
fn a_record_matches_within_the_window_on_entras_clock(#[case] seconds: i64, #[case] expected: bool) {
    let result = compared(vec![disclosure(1, 1, 7, -7200, Came::Served)], vec![record("a", 1, 7, seconds)]);
    assert_eq!((result.matched.len() == 1, result.elsewhere.is_empty()), (expected, expected));
}

#[test]
fn a_laptop_whose_clock_is_days_wrong_is_matched_by_entras_clock() {
    let mut own = disclosure(1, 1, 7, -7200, Came::Served);
    own.at = at(3 * 86_400);
    assert_eq!(compared(vec![own.clone()], vec![record("a", 1, 7, -7198)]).matched.len(), 1);
    // Without Entra's word there is only the wrong clock.
    own.entra_time = None;
    assert_eq!(compared(vec![own], vec![record("a", 1, 7, -7198)]).matched.len(), 0);
}

#[rstest]
#[case::another_person(record("a", 2, 7, -7200))]
#[case::another_key(record("a", 1, 8, -7200))]
#[case::the_same_name_under_another_id(Record { actor: Actor::Person { id: Some(UserId(Uuid::from_u128(9))), upn: "tech1@x.example".into() }, ..record("a", 1, 7, -7200) })]
fn another_person_or_key_is_no_match(#[case] record: Record) {
    let result = compared(vec![disclosure(1, 1, 7, -7200, Came::Served)], vec![record]);
    assert_eq!((result.matched.len(), result.elsewhere.len(), result.missing.len()), (0, 1, 1));
    assert_eq!(result.missing[0].why, Absence::NotThere);
}

#[test]
fn where_entra_gives_no_id_the_name_decides_in_any_case() {
    let nameless = Actor::Person { id: None, upn: "TECH1@x.example".into() };
    let result = compared(
        vec![disclosure(1, 1, 7, -7200, Came::Served)],
        vec![Record { actor: nameless, ..record("a", 1, 7, -7200) }],
    );
    assert_eq!(matches(&result), [(1, vec!["a"])]);
}

#[test]
fn two_records_of_one_read_are_one_read() {
    let result = compared(
        vec![disclosure(1, 1, 7, -7200, Came::Served)],
        vec![record("b", 1, 7, -7198), record("a", 1, 7, -7199), record("a", 1, 7, -7199)],
    );
    assert_eq!(matches(&result), [(1, vec!["a", "b"])]);
    assert!(result.elsewhere.is_empty() && result.missing.is_empty());
}

#[test]
fn two_records_of_one_read_elsewhere_are_one_too() {
    let result = compared(vec![], vec![record("b", 1, 7, -7100), record("a", 1, 7, -7199), record("c", 1, 7, -3600)]);
    let lines: Vec<_> = result.elsewhere.iter().map(|read| (read.first.id.as_str(), read.again.len())).collect();
    assert_eq!(lines, [("c", 0), ("a", 1)]);
}

#[test]
fn two_disclosures_close_together_are_matched_one_to_one_in_order() {
    let own = vec![disclosure(2, 1, 7, -7140, Came::Served), disclosure(1, 1, 7, -7200, Came::Served)];
    let result = compared(own, vec![record("b", 1, 7, -7139), record("a", 1, 7, -7199)]);
    assert_eq!(matches(&result), [(1, vec!["a"]), (2, vec!["b"])]);
}

#[test]
fn records_that_share_a_correlation_leave_the_other_disclosure_without_one() {
    let doubled = |id, seconds| Record { correlation: Some(Uuid::from_u128(5)), ..record(id, 1, 7, seconds) };
    let own = vec![disclosure(1, 1, 7, -7200, Came::Served), disclosure(2, 1, 7, -7140, Came::Served)];
    let result = compared(own, vec![doubled("a", -7199), doubled("b", -7199)]);
    assert_eq!(matches(&result), [(1, vec!["a", "b"])]);
    assert_eq!(result.missing.len(), 1);
}

#[test]
fn what_was_certainly_served_comes_before_what_nobody_knows_and_what_was_refused() {
    let own = vec![
        disclosure(1, 1, 7, -7260, Came::Refused { status: Some(403) }),
        disclosure(2, 1, 7, -7200, Came::Unknown),
        disclosure(3, 1, 7, -7140, Came::Served),
    ];
    let one = compared(own.clone(), vec![record("a", 1, 7, -7139)]);
    assert_eq!(matches(&one), [(3, vec!["a"])]);
    let two = compared(own.clone(), vec![record("a", 1, 7, -7139), record("b", 1, 7, -7198)]);
    assert_eq!(matches(&two), [(2, vec!["b"]), (3, vec!["a"])]);
    // A third record so close by is one of these once more, and no read of the refused request.
    let three = compared(own, vec![record("a", 1, 7, -7139), record("b", 1, 7, -7198), record("c", 1, 7, -7197)]);
    assert_eq!(matches(&three), [(2, vec!["b", "c"]), (3, vec!["a"])]);
    assert_eq!(three.missing[0].why, Absence::NoneExpected);
}

#[test]
fn a_request_that_never_left_explains_no_read() {
    let unsent = disclosure(1, 1, 7, -7260, Came::Refused { status: None });
    let result = compared(vec![unsent.clone()], vec![record("a", 1, 7, -7200)]);
    assert_eq!((result.matched.len(), result.elsewhere.len(), result.findings()), (0, 1, 1));
    assert_eq!(result.elsewhere[0].refused_here.as_deref(), Some(&unsent));
    assert_eq!(result.missing[0].why, Absence::NoneExpected);
    // Nor is somebody else's read, or one of another time, told beside it.
    let others = compared(vec![unsent.clone()], vec![record("a", 2, 7, -7200), record("b", 1, 7, -3600)]);
    assert!(others.elsewhere.iter().all(|read| read.refused_here.is_none()));
    // Under the id that was sent it is certain that the request left after all.
    let sent = Record { correlation: Some(unsent.id.0), ..record("a", 1, 7, -7200) };
    let result = compared(vec![unsent], vec![sent]);
    assert_eq!((result.matched.len(), result.findings()), (1, 1));
}

#[rstest]
#[case::logged_as_failed(true, 0, "logged by Entra as failed")]
#[case::logged_as_read(false, 1, "Entra refused here (403), and logged a read by the same person")]
fn what_entra_refused_and_logged_as_read_is_to_explain(
    #[case] failed: bool,
    #[case] findings: usize,
    #[case] said: &str,
) {
    let own = disclosure(1, 1, 7, -7200, Came::Refused { status: Some(403) });
    let result = compared(vec![own], vec![Record { failed, ..record("a", 1, 7, -7199) }]);
    assert_eq!((result.matched.len(), result.findings()), (1, findings));
    let sentence = result.matched[0].sentence(&jiff::tz::TimeZone::UTC);
    assert!(sentence.contains(said), "{sentence}");
}

#[rstest]
#[case::young(6, Came::Served, false)]
#[case::old(8, Came::Served, true)]
#[case::old_and_unknown(8, Came::Unknown, true)]
fn what_is_missing_after_a_week_may_be_missing_for_want_of_a_licence(
    #[case] days: i64,
    #[case] came: Came,
    #[case] said: bool,
) {
    let result = compared(vec![disclosure(1, 1, 7, -days * 86_400, came)], vec![]);
    let sentence = result.missing[0].sentence(&jiff::tz::TimeZone::UTC);
    assert_eq!(sentence.contains("Where the tenant has no premium licence Entra keeps 7 days."), said, "{sentence}");
}

#[test]
fn the_id_that_was_sent_with_the_request_decides_whatever_the_time() {
    let own = disclosure(1, 1, 7, -7200, Came::Served);
    let far = Record { correlation: Some(own.id.0), ..record("a", 1, 7, -3600) };
    let result = compared(vec![own], vec![far]);
    assert!(result.matched[0].same_id);
}

#[test]
fn what_was_found_before_stays_found_though_entra_has_forgotten() {
    let mut own = disclosure(1, 1, 7, -20 * 86_400, Came::Served);
    own.known.insert("a".into(), own.at);
    let result = compared(vec![own.clone()], vec![]);
    assert_eq!((result.matched.len(), result.missing.len()), (1, 0));
    assert_eq!(result.matched[0].at(), own.at);
    // A later copy of it is no read of its own.
    assert_eq!(matches(&compared(vec![own], vec![record("a", 1, 7, -20 * 86_400)])), [(1, vec!["a"])]);
}

#[rstest]
#[case::young(-600, Came::Served, "may still come", false)]
#[case::after_the_grace(-7200, Came::Served, "not in Entra", true)]
#[case::nobody_knows(-7200, Came::Unknown, "not in Entra", false)]
#[case::refused(-7200, Came::Refused { status: Some(403) }, "refused", false)]
fn a_disclosure_without_a_record_says_why(
    #[case] seconds: i64,
    #[case] came: Came,
    #[case] word: &str,
    #[case] finding: bool,
) {
    let result = compared(vec![disclosure(1, 1, 7, seconds, came)], vec![]);
    assert_eq!((result.missing[0].word(), result.findings() == 1), (word, finding));
    assert_eq!(result.missing[0].forgotten, None);
}

#[test]
fn entras_retention_is_warned_of_before_and_said_after() {
    let week = Terms { from: at(-30 * 86_400), retention: Duration::from_hours(7 * 24), ..terms() };
    let old = |days: i64| {
        let disclosures = vec![disclosure(1, 1, 7, -days * 86_400, Came::Served)];
        reconcile(&Input { disclosures, ..Input::default() }, &week).missing.remove(0)
    };
    assert_eq!(old(2).forgotten, None);
    assert_eq!(old(5).forgotten, Some(at(2 * 86_400)));
    assert!(old(5).sentence(&jiff::tz::TimeZone::UTC).contains("forgets it on"));
    assert_eq!((old(8).why, old(8).forgotten), (Absence::TooLate, None));
}

#[test]
fn a_read_elsewhere_is_another_desks_the_owners_a_technicians_a_strangers_or_an_apps() {
    let mut other = disclosure(1, 2, 7, -7200, Came::Served);
    other.book = Book::Other("desk-2.db".into());
    let technicians = [1, 2, 3].map(|n| (person(n).id, person(n).upn)).into();
    let by_id = Owners { ids: [person(8).id].into(), upns: BTreeSet::new() };
    let by_name = Owners { ids: BTreeSet::new(), upns: ["TECH9@X.example".to_owned()].into() };
    let owners = [(DeviceId(Uuid::from_u128(108)), by_id), (DeviceId(Uuid::from_u128(109)), by_name)].into();
    let records = vec![
        record("desk", 2, 7, -7200),
        record("own", 8, 8, -7100),
        record("own by name", 9, 9, -7000),
        record("technician", 3, 8, -6900),
        record("stranger", 4, 8, -6800),
        record("stranger, owner not asked", 4, 7, -6700),
        Record { actor: Actor::App { name: "Sweeper".into() }, ..record("app", 1, 7, -6600) },
        Record { actor: Actor::Nobody, ..record("nobody", 1, 7, -6500) },
    ];
    let input = Input { disclosures: vec![other], records, technicians, owners, unreadable: Vec::new() };
    let result = reconcile(&input, &terms());
    let said: BTreeMap<&str, (&str, bool)> =
        result.elsewhere.iter().map(|read| (read.first.id.as_str(), (read.word(), read.is_unjustified()))).collect();
    assert_eq!(said["desk"], ("another desk", false));
    assert_eq!((said["own"], said["own by name"]), (("self-service", false), ("self-service", false)));
    assert_eq!(said["technician"], ("portal or tool", true));
    assert_eq!(said["stranger"], ("portal or tool", true));
    assert_eq!((said["app"], said["nobody"]), (("an app", true), ("nobody named", true)));
    assert_eq!((result.elsewhere.len(), result.findings()), (8, 5));
    assert_eq!(result.whose().len(), 2);
}

#[test]
fn what_lies_before_the_window_explains_and_is_not_reported() {
    let from = Terms { from: at(-7200), ..terms() };
    let disclosures = vec![disclosure(1, 1, 7, -7201, Came::Served), disclosure(2, 1, 8, -7201, Came::Served)];
    let records = vec![record("a", 1, 7, -7199), record("old", 1, 9, -7300)];
    let result = reconcile(&Input { disclosures, records, ..Input::default() }, &from);
    assert_eq!(matches(&result), [(1, vec!["a"])]);
    assert_eq!((result.elsewhere.len(), result.missing.len()), (0, 0));
    assert_eq!((result.before.records.len(), result.before.disclosures.len()), (1, 1));
}

/// What a month may hold: disclosures of few people and keys, and records of some of them, late, doubled, skewed, missing, foreign.
fn month() -> impl Strategy<Value = (Vec<Disclosure>, Vec<Record>)> {
    let came = prop_oneof![
        Just(Came::Served),
        Just(Came::Unknown),
        Just(Came::Refused { status: Some(403) }),
        Just(Came::Refused { status: None }),
        Just(Came::Asked)
    ];
    let one = (0..3_u128, 0..3_u128, -40 * 86_400..0_i64, came, any::<[bool; 4]>(), -90..500_i64, -5000..5000_i64);
    let stray = (0..5_u128, 0..4_u128, -40 * 86_400..0_i64, 0..3_u8);
    (prop::collection::vec(one, 0..25), prop::collection::vec(stray, 0..15)).prop_map(|(own, strays)| {
        let (mut disclosures, mut records) = (Vec::new(), Vec::new());
        for (n, (who, key, seconds, came, [logged, doubled, told, other], late, skew)) in own.into_iter().enumerate() {
            // Close together, so that the pairing has something to decide.
            let seconds = if told { seconds } else { seconds / 100_000 * 100_000 - i64::try_from(n).unwrap() * 40 };
            let mut one = disclosure(n as u128, who, key, seconds, came);
            if other {
                one.book = Book::Other("other.db".into());
            }
            one.at = at(seconds + skew);
            records.extend(logged.then(|| record(&format!("{n}"), who, key, seconds + late)));
            records.extend((logged && doubled).then(|| record(&format!("{n} again"), who, key, seconds + late + 1)));
            disclosures.push(one);
        }
        for (n, (who, key, seconds, kind)) in strays.into_iter().enumerate() {
            let actor = match kind {
                0 => Actor::Nobody,
                1 => Actor::App { name: "Sweeper".into() },
                _ => record("", who, key, 0).actor,
            };
            records.push(Record { actor, ..record(&format!("stray {n}"), who, key, seconds) });
        }
        (disclosures, records)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_disclosure_and_every_record_ends_in_exactly_one_list((disclosures, records) in month()) {
        let input = Input { disclosures, records, ..Input::default() };
        let result = reconcile(&input, &terms());

        let mut ids: Vec<&str> = Vec::new();
        let mut own: Vec<DisclosureId> = Vec::new();
        for one in &result.matched {
            own.push(one.disclosure.id);
            ids.extend(one.records.iter().map(|record| record.id.as_str()));
        }
        for read in &result.elsewhere {
            ids.push(&read.first.id);
            ids.extend(read.again.iter().map(|record| record.id.as_str()));
            if let Who::OtherDesk(disclosure) = &read.who {
                own.push(disclosure.id);
            }
        }
        own.extend(result.missing.iter().map(|missing| missing.disclosure.id));
        own.extend(result.before.disclosures.iter().map(|disclosure| disclosure.id));
        ids.extend(result.before.records.iter().map(|record| record.id.as_str()));

        let mut expected: Vec<&str> = input.records.iter().map(|record| record.id.as_str()).collect();
        ids.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(ids, expected);
        let mut all: Vec<DisclosureId> = input.disclosures.iter().map(|disclosure| disclosure.id).collect();
        own.sort_unstable();
        all.sort_unstable();
        prop_assert_eq!(own, all);
    }

    #[test]
    fn whatever_the_order_of_rows_the_answer_is_the_same((disclosures, records) in month(), seed in any::<u64>()) {
        let input = Input { disclosures, records, ..Input::default() };
        let mut turned = input.clone();
        let by = usize::try_from(seed % 31).unwrap();
        turned.records.reverse();
        let n = turned.disclosures.len().max(1);
        turned.disclosures.rotate_left(by % n);
        prop_assert_eq!(reconcile(&input, &terms()), reconcile(&turned, &terms()));
    }

    #[test]
    fn a_pair_is_the_same_person_and_key_at_about_the_same_time((disclosures, records) in month()) {
        let result = reconcile(&Input { disclosures, records, ..Input::default() }, &terms());
        for one in &result.matched {
            let first = &one.records[0];
            prop_assert_eq!(first.key, one.disclosure.key);
            let Actor::Person { id, .. } = &first.actor else { panic!("{first:?}") };
            prop_assert_eq!(*id, one.disclosure.technician.as_ref().map(|technician| technician.id));
            let apart = first.at.duration_since(one.disclosure.expected());
            prop_assert!(apart >= -BEFORE - ONE_READ && apart <= AFTER, "{}", apart);
        }
    }

    #[test]
    fn a_certain_disclosure_that_entra_logged_alone_is_always_matched(
        seconds in -29 * 86_400..-3600_i64, late in -119..599_i64, doubled in any::<bool>(), skew in -86_400..86_400_i64,
    ) {
        let mut own = disclosure(1, 1, 7, seconds, Came::Served);
        own.at = at(seconds + skew);
        let mut records = vec![record("a", 1, 7, seconds + late)];
        records.extend(doubled.then(|| record("b", 1, 7, seconds + late + 60)));
        let result = compared(vec![own], records);
        prop_assert_eq!((result.matched.len(), result.findings()), (1, 0));
    }
}
