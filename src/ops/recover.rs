//! What a desk that died left behind. Rows are only ever appended, also here.

use crate::{
    desk::Desk,
    domain::{debt::RotationId, event::Event, moment::later, work::Failure},
    store::{debts, disclosures, instance},
};

/// Closes every intent of a dead process as *unknown*: its debt stands, its replacement is held. Returns a sentence for each.
pub async fn recover(desk: &Desk) -> Result<Vec<String>, Failure> {
    let folder = desk.paths.instances();
    let own = desk.instance.id;
    let delay = desk.policy.rotation_delay;
    let closed = desk
        .record(move |pen| {
            let mut closed = Vec::new();
            for intent in disclosures::in_flight(pen.conn())? {
                if intent.instance == own || instance::is_alive(&folder, intent.instance) {
                    continue;
                }
                let rotation = debts::held_for_device(pen.conn(), intent.device)?.unwrap_or_else(RotationId::new);
                let unknown = Event::Unknown {
                    disclosure: intent.disclosure,
                    rotation,
                    held_until: later(pen.at(), delay),
                    why: "the desk ended before an answer came".into(),
                };
                pen.append(Some(intent.call), &unknown)?;
                closed.push(intent.key);
            }
            Ok(closed)
        })
        .await?;
    Ok(closed
        .into_iter()
        .map(|key| {
            format!(
                "keydesk ended while {} was asked for. Entra may have recorded a read; the debt stands.",
                key.short()
            )
        })
        .collect())
}
