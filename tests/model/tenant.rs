//! Entra and Intune, as far as a rotation sees them. Each device has one Intune object; its clock never jumps.

use jiff::{SignedDuration, Timestamp};
use keydesk::domain::{
    debt::{Seen, Sight, Target},
    device::{ActionResult, ActionState, Compliance, DeviceId, ManagedDevice, ManagedDeviceId},
    key::{Key, Volume},
    key_id::KeyId,
};
use uuid::Uuid;

pub struct Device {
    pub keys: Vec<Key>,
    pub action: Option<ActionResult>,
    pub checked_in: Option<Timestamp>,
    pub gone: bool,
}

pub struct Tenant {
    pub now: Timestamp,
    pub devices: Vec<Device>,
    made: u128,
}

pub fn target(device: usize) -> Target {
    let n = device as u128 + 1;
    Target { managed: ManagedDeviceId(Uuid::from_u128(n)), device: DeviceId(Uuid::from_u128(n)) }
}

pub fn number(device: DeviceId) -> usize {
    usize::try_from(device.0.as_u128()).unwrap() - 1
}

impl Tenant {
    pub fn new(devices: usize, now: Timestamp) -> Self {
        let mut tenant = Self { now, devices: Vec::new(), made: 0 };
        for n in 0..devices {
            tenant.devices.push(Device { keys: Vec::new(), action: None, checked_in: None, gone: false });
            (0..3).for_each(|_| tenant.new_key(n));
        }
        tenant
    }

    pub fn new_key(&mut self, device: usize) {
        self.made += 1;
        let id = KeyId(Uuid::from_u128(self.made << 64));
        let (device_id, escrowed) = (target(device).device, self.now);
        self.devices[device].keys.push(Key { id, device: device_id, escrowed, volume: Volume::OperatingSystem });
    }

    pub fn see(&self, target: Target) -> Sight {
        let device = &self.devices[number(target.device)];
        if device.gone {
            return Sight::Gone;
        }
        let managed = ManagedDevice {
            id: target.managed,
            device: target.device,
            name: "HVC-LT-0421".into(),
            serial: "".into(),
            model: "".into(),
            owner: "".into(),
            owner_upn: "".into(),
            checked_in: device.checked_in,
            enrolled: None,
            compliance: Compliance::Unknown,
            encrypted: None,
            rotation: device.action.clone(),
        };
        Sight::Seen(Box::new(Seen { keys: device.keys.clone(), managed }))
    }

    pub fn is_pending(&self, device: usize) -> bool {
        self.devices[device].action.as_ref().is_some_and(|action| action.state == ActionState::Pending)
    }

    /// Intune takes a request.
    pub fn post(&mut self, device: usize) {
        let (started, updated) = (Some(self.now), Some(self.now));
        self.devices[device].action = Some(ActionResult { state: ActionState::Pending, started, updated, error: 0 });
    }

    pub fn check_in(&mut self, device: usize, code: i32) {
        let now = self.now;
        self.devices[device].checked_in = Some(now);
        if !self.is_pending(device) {
            return;
        }
        if let Some(action) = &mut self.devices[device].action {
            action.state = if code == 0 { ActionState::Done } else { ActionState::Failed };
            (action.error, action.updated) = (code, Some(now));
        }
        if code == 0 {
            self.new_key(device);
        }
    }

    /// Time passes; no two things happen at one time.
    pub fn pass(&mut self, by: SignedDuration) {
        self.now += by;
    }
}
