//! A scenario that parses may still speak of people, roles and devices that are not there.

use super::{Error, FleetSpec, Scenario};
use crate::simulation::people;

impl Scenario {
    pub(super) fn check(&self) -> Result<(), Error> {
        let known = |upn: &str| self.people.iter().any(|person| person.upn.eq_ignore_ascii_case(upn));
        let nobody =
            |upn: &str, place: &str| Error::Contradiction(format!("{place} names {upn}, who is no [[person]]"));
        if !known(&self.tenant.technician) {
            return Err(nobody(&self.tenant.technician, "tenant.technician"));
        }
        for person in &self.people {
            let strange = person.roles.iter().find(|role| !people::is_directory_role(role));
            let strange = strange.or_else(|| person.intune_roles.iter().find(|role| !people::is_intune_role(role)));
            if let Some(role) = strange {
                return Err(Error::Contradiction(format!("{} has the unknown role {role:?}", person.upn)));
            }
        }
        if self.graph.page_size == 0 || self.graph.audit_page_size == 0 {
            return Err(Error::Contradiction("a page of [graph] has no entries".to_owned()));
        }
        if self.graph.empty_page_every == 1 {
            return Err(Error::Contradiction("graph.empty_page_every = 1 would leave no page with entries".to_owned()));
        }
        for device in &self.devices {
            let users = device.managed.iter().flatten().filter_map(|managed| managed.user.as_ref());
            if let Some(upn) = device.owner.iter().chain(users).find(|upn| !known(upn)) {
                return Err(nobody(upn, &format!("device {:?}", device.name)));
            }
            let prefixes = device.keys.iter().map(|key| &key.prefix).chain(&device.rotation.next);
            for prefix in prefixes.chain([&device.object_id, &device.device_id]) {
                if prefix.len() > 8 || !prefix.chars().all(|c| c.is_ascii_hexdigit()) {
                    let what = format!("{prefix:?} of device {:?} is not up to 8 hexadecimal digits", device.name);
                    return Err(Error::Contradiction(what));
                }
            }
        }
        for caller in &self.callers {
            if !known(&caller.who) {
                return Err(nobody(&caller.who, "a [[caller]]"));
            }
            if !self.devices.iter().any(|device| device.name == caller.device && !device.keys.is_empty()) {
                let what = format!("the caller {} speaks of {:?}, no [[device]] with keys", caller.who, caller.device);
                return Err(Error::Contradiction(what));
            }
        }
        for read in &self.reads {
            if let Some(upn) = read.by.as_ref().filter(|upn| !known(upn)) {
                return Err(nobody(upn, "a [[read]]"));
            }
            let mut written = self.devices.iter().flat_map(|device| &device.keys);
            if read.key.is_empty() || !written.any(|key| key.prefix.eq_ignore_ascii_case(&read.key)) {
                return Err(Error::Contradiction(format!("a [[read]] is of {:?}, no [[device.key]]", read.key)));
            }
        }
        self.fleet.as_ref().map_or(Ok(()), FleetSpec::check)
    }
}

impl FleetSpec {
    fn check(&self) -> Result<(), Error> {
        let situations = [
            self.re_imaged,
            self.handed_on,
            self.twins,
            self.pending,
            self.disabled,
            self.without_intune,
            self.enrolled_twice,
            self.without_key,
            self.deleted,
            self.offline_for_good,
        ];
        let most = self.hybrid.max(self.with_data_drive).max(self.with_removable_drive);
        if situations.iter().sum::<usize>() > self.machines || most > self.machines {
            return Err(Error::Contradiction("the fleet has more situations than machines".to_owned()));
        }
        if self.models.iter().all(|model| model.share == 0)
            || self.departments.is_empty()
            || self.given_names.is_empty()
            || self.family_names.is_empty()
        {
            return Err(Error::Contradiction("the fleet lacks models, departments or names".to_owned()));
        }
        Ok(())
    }
}
