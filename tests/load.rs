//! Two desks that read keys, one that lists a large tenant and a watcher on one store for a minute: nothing lost, nothing doubled.
//! Without libtest: its desks are processes, which are this program started again.
#![cfg_attr(unix, expect(clippy::unwrap_used, reason = "a test says what it expects by failing"))]
#![cfg_attr(unix, expect(clippy::print_stdout, reason = "what it has to say"))]

#[cfg(unix)]
mod common;

fn main() {
    #[cfg(unix)]
    unix::main();
}

#[cfg(unix)]
mod unix {
    use super::common::{
        crowd::{self, Owned, POLICY, Role},
        outside::{self, Tenant},
    };

    const MINUTE: u64 = 60;
    const MACHINES: usize = 3_000;
    /// One of so many machines is called about at both desks.
    const SHARED: usize = 4;

    pub fn main() {
        if crowd::play() {
            return;
        }
        if !std::env::args().any(|argument| argument == "--ignored" || argument == "--include-ignored") {
            println!(
                "two desks and a watcher on one store lose nothing and double nothing ... ignored, needs a minute"
            );
            return;
        }
        two_desks_and_a_watcher_on_one_store_lose_nothing_and_double_nothing();
        println!("two desks and a watcher on one store lose nothing and double nothing ... ok");
    }

    fn two_desks_and_a_watcher_on_one_store_lose_nothing_and_double_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let scenario = crowd::scenario(folder.path(), MACHINES);
        let tenant = Tenant::serve(scenario.to_str().unwrap(), "400");
        let keys = crowd::keys(&tenant);
        assert!(keys.len() > MACHINES / 2, "{} keys", keys.len());
        let of = |desk: usize| -> Vec<Owned> {
            let theirs = |n: &usize| n.is_multiple_of(SHARED) || n % 2 == desk;
            (0..keys.len()).filter(theirs).map(|n| keys[n]).collect()
        };
        let roles = [
            Role::Discloses { number: 1, keys: of(0) },
            Role::Discloses { number: 2, keys: of(1) },
            Role::Lists,
            Role::Watches,
        ];
        let playing = roles.map(|role| crowd::start(role, &tenant, &home, MINUTE));
        let mut played = playing.map(crowd::Playing::played);

        let (rows, debts) = outside::settle(&tenant, &home, POLICY);
        let requests = tenant.key_requests();
        outside::every_key_request_has_its_row(&requests, &rows);
        outside::every_debt_has_ended(&requests, &rows, &debts);
        let (sent, committed) = outside::no_rotation_is_sent_twice(&tenant, &rows);
        let disclosed: usize = played.iter().map(|played| played.disclosed.len()).sum();
        let served = requests.iter().filter(|seen| seen.status == Some(200)).count();
        assert_eq!(served, disclosed, "each key that was handed out was asked for once");
        assert!(disclosed > 100 && played[2].listings > 0, "too little was tested: {played:?}");
        let figures = serde_json::json!({
            "seconds": MINUTE, "disclosed": disclosed, "rows": rows.len(), "listings": played[2].listings,
            "rotations_sent": sent, "rotations_committed": committed,
            "gone_before": played.iter().map(|played| played.gone).sum::<usize>(),
            "disclosures": [crowd::spread(&mut played[0].disclosed), crowd::spread(&mut played[1].disclosed)],
        });
        println!("{figures:#}");
        super::common::figures("load", &figures);
    }
}
