//! What has to hold after each step, and at the end.

use keydesk::{
    domain::{
        debt::{DebtId, DebtState, RotationState},
        event::Event,
        policy::Proof,
    },
    store::{debts, disclosures},
};

use crate::world::{Expected, Stands, World};

impl World {
    /// Entra lists a key of the device that was not there before the disclosure.
    pub fn is_replaced(&self, expected: &Expected) -> bool {
        let keys = &self.tenant.devices[expected.device].keys;
        keys.iter().any(|key| key.id != expected.key && !expected.known.contains(&key.id))
    }

    pub fn check(&mut self) {
        let ids: Vec<DebtId> = self.expected.keys().copied().collect();
        for id in ids {
            let now = self.read(|conn| debts::get(conn, id)).unwrap();
            let replaced = self.is_replaced(&self.expected[&id]);
            let expected = self.expected.get_mut(&id).unwrap();
            let stands = match now.state {
                DebtState::Owed => Stands::Owed,
                DebtState::Proved { grade: Proof::ByHand, .. } => Stands::Confirmed,
                DebtState::Proved { .. } => Stands::Proved,
                DebtState::Waived { .. } => Stands::Waived,
                DebtState::Cancelled { .. } => Stands::Cancelled,
            };
            // The one change nobody asked for: a proof, where there is a new key.
            if expected.stands == Stands::Owed && stands == Stands::Proved && replaced {
                expected.stands = Stands::Proved;
                self.totals.proved += 1;
            }
            assert_eq!(stands, expected.stands, "{now:#?}");
            assert_eq!(now.compromised.is_some(), expected.compromised);
            // An open debt waits for something: a rotation, or for its outcome to be known.
            let waits = now.rotation.as_ref().is_some_and(|r| !matches!(r.state, RotationState::Over { .. }));
            assert!(!now.is_open() || waits, "nobody follows {now:#?}");
        }
        let lost: i64 = self.read(|conn| {
            Ok(conn.query_row(
                "SELECT count(*) FROM disclosures LEFT JOIN debts ON debts.id = disclosures.debt
                 WHERE disclosures.state <> 'refused'
                   AND (debts.id IS NULL OR debts.state ->> '$.state' = 'cancelled')",
                [],
                |row| row.get(0),
            )?)
        });
        assert_eq!(lost, 0, "a debt is lost");
        let idle = self.read(|conn| {
            let pays = "SELECT 1 FROM debts WHERE debts.rotation = rotations.id AND debts.open = 1";
            let sql = format!("SELECT count(*) FROM rotations WHERE open = 1 AND NOT EXISTS ({pays})");
            Ok(conn.query_row(&sql, [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(idle, 0, "a rotation is followed that has nothing left to pay");
    }

    /// The chain is whole, the tables are what the rows make of them, and each request had its row.
    pub fn end(&mut self) {
        self.mend();
        let ledger = self.desks[0].ledger.as_ref().unwrap();
        ledger.verify().unwrap().unwrap();
        let before = self.tables();
        ledger.rebuild().unwrap();
        assert_eq!(self.tables(), before);
        let rows = ledger.rows(1).unwrap();
        let committed = rows.iter().filter(|row| matches!(row.event, Event::RotationSending { .. })).count();
        assert_eq!(self.attempts.len(), committed, "one request for each commit");
        assert_eq!(self.read(disclosures::in_flight), []);
    }

    pub fn tables(&self) -> Vec<String> {
        let table = |name: &str| {
            self.read(|conn| {
                let mut statement = conn.prepare(&format!("SELECT * FROM {name} ORDER BY id"))?;
                let columns = statement.column_count();
                let rows = statement.query_map([], |row| {
                    Ok((0..columns).map(|n| format!("{:?}", row.get_ref(n).unwrap())).collect::<Vec<_>>().join(" | "))
                })?;
                Ok(rows.map(Result::unwrap).collect::<Vec<_>>())
            })
        };
        ["calls", "debts", "rotations", "disclosures"].into_iter().flat_map(table).collect()
    }
}
