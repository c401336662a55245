//! A replacement without a disclosure: `keydesk rotate`.

use jiff::Timestamp;

use crate::{
    desk::Desk,
    domain::{
        call::CallId,
        debt::{DebtId, KnownKey, RotationId},
        device::DeviceId,
        event::Event,
        key::{Key, Volume},
        ticket::Ticket,
        work::{Failure, Kind},
    },
    ops::ticket_check,
    store::{calls, debts},
};

/// A replacement somebody asks for without reading a key: `keydesk rotate`. The debt it makes.
pub async fn request(desk: &Desk, device: DeviceId, ticket: &str) -> Result<DebtId, Failure> {
    let seat = desk.seat()?;
    let ticket = desk.policy.ticket.read(ticket).map_err(|e| Failure::new(Kind::Usage, e.to_string()))?;
    ticket_check::check(&desk.policy.ticket_check, &ticket).await?;
    let listed = seat.graph.keys_of_device(device).await?;
    let current = listed
        .keys
        .iter()
        .filter(|key| key.volume.can_be_rotated())
        .max_by_key(|key| (key.volume == Volume::OperatingSystem, key.escrowed));
    let Some(current) = current.cloned() else {
        return Err(Failure::new(Kind::NotFound, "Entra holds no key of this device that could be replaced."));
    };
    let name = seat.graph.device(device).await?.map(|device| device.name).unwrap_or_default();
    let known = listed.all().map(KnownKey::of).collect();
    let wanted = Wanted { device, name, ticket, key: current, known, entra_time: listed.entra_time };
    let debt = record_request(desk, wanted).await?;
    desk.debts_changed();
    Ok(debt)
}

struct Wanted {
    device: DeviceId,
    name: crate::domain::foreign::Foreign,
    ticket: Ticket,
    key: Key,
    known: Vec<KnownKey>,
    entra_time: Option<Timestamp>,
}

async fn record_request(desk: &Desk, wanted: Wanted) -> Result<DebtId, Failure> {
    let debt = desk
        .record(move |pen| {
            if let Some(standing) = debts::open_for_key(pen.conn(), wanted.key.id)? {
                return Ok(standing);
            }
            let (debt, call) = (DebtId::new(), CallId::new());
            let number = calls::next_number(pen.conn())?;
            let opened = Event::CallOpened {
                number,
                key: wanted.key.id,
                volume: wanted.key.volume,
                device: wanted.device,
                device_name: wanted.name.clone(),
                heard: 0,
                why: None,
            };
            pen.append(Some(call), &opened)?;
            let requested = Event::ReplacementRequested {
                debt,
                rotation: debts::held_for_device(pen.conn(), wanted.device)?.unwrap_or_else(RotationId::new),
                held_until: pen.at(),
                key: wanted.key.id,
                volume: wanted.key.volume,
                device: wanted.device,
                device_name: wanted.name,
                ticket: wanted.ticket,
                known: wanted.known,
                entra_time: wanted.entra_time,
            };
            pen.append(Some(call), &requested)?;
            pen.append(Some(call), &Event::CallClosed)?;
            Ok(debt)
        })
        .await?;
    Ok(debt)
}
