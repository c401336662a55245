//! The files somebody wrote: configuration and policy, as the command line read them.

use crate::domain::{
    connection::Cloud,
    work::doctor::{Check, Finding, NoConnection, Setup, Who},
};

pub(super) fn examine(setup: &Setup) -> Vec<Check> {
    vec![
        Check::new("config.file", "configuration", config(setup)),
        Check::new("config.tenant", "tenant and app", tenant(setup)),
        Check::new("policy", "policy", policy(setup)),
    ]
}

fn config(setup: &Setup) -> Finding {
    let path = setup.config.path.display();
    match &setup.config.refused {
        Some(said) => Finding::fix(format!("It cannot be used: {}", said.trim()))
            .by(Who::You, format!("Correct {path}; `keydesk config template` prints one to compare it with.")),
        None if setup.config.is_there => Finding::well(format!("{path}")),
        None => Finding::well(format!("There is none at {path}: flags, environment and defaults hold.")),
    }
}

fn tenant(setup: &Setup) -> Finding {
    let several = setup.has_several_profiles;
    let tenant = if several { format!("Profile {}: tenant", setup.profile) } else { "Tenant".to_owned() };
    match &setup.connection {
        Ok(connection) => Finding::well(format!(
            "{tenant} {}, app {}, cloud {}: sign-in at {}, Graph at {}.",
            connection.tenant,
            connection.client_id,
            Cloud::of(connection).word(),
            connection.authority.host_str().unwrap_or_default(),
            connection.graph.host_str().unwrap_or_default(),
        )),
        Err(NoConnection::NoTenant) => Finding::fix("No tenant is configured.").by(
            Who::You,
            "Set tenant and client_id: `keydesk config template` prints a file to start from. `keydesk demo` needs none.",
        ),
        Err(NoConnection::Unreadable) => Finding::not_checked("The settings cannot be read."),
    }
}

fn policy(setup: &Setup) -> Finding {
    let path = setup.policy.path.display();
    match (&setup.policy.refused, &setup.digest) {
        (Some(said), _) => Finding::fix(format!("It is refused, so keydesk does not start: {}", said.trim()))
            .by(Who::MachineAdministrator, setup.policy.mend.clone().unwrap_or_else(|| format!("Correct {path}."))),
        (None, Some(digest)) if setup.policy.is_there => Finding::well(format!("{path}; in force: {digest}")),
        (None, Some(digest)) => {
            Finding::well(format!("The one keydesk ships with, for there is none at {path}; in force: {digest}"))
        }
        (None, None) => Finding::not_checked("The settings cannot be read."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::work::{
        doctor::{FileSeen, Grade, Places},
        profiles::DEFAULT,
    };

    fn seen(path: &str, refused: Option<&str>) -> FileSeen {
        FileSeen { path: path.into(), is_there: true, refused: refused.map(ToOwned::to_owned), mend: None }
    }

    fn setup(config: FileSeen, policy: FileSeen, digest: Option<&str>) -> Setup {
        let nowhere = Places { state: "/s".into(), refused: None, ledger: "/s/l".into(), instances: "/s/i".into() };
        let digest = digest.map(ToOwned::to_owned);
        let connection = Err(NoConnection::NoTenant);
        let profile = DEFAULT.to_owned();
        Setup {
            config,
            policy,
            digest,
            forward: crate::domain::policy::Forwarding::default(),
            profile,
            has_several_profiles: false,
            connection,
            places: nowhere,
            remembers: true,
            terminal: None,
        }
    }

    #[test]
    fn a_policy_that_is_refused_is_for_the_machines_administrator() {
        let setup = setup(seen("/c", None), seen("/etc/p", Some("/etc/p: line 2")), Some("19c2"));
        let checks = examine(&setup);
        assert_eq!(checks[0].finding.grade, Grade::Well);
        let policy = &checks[2].finding;
        assert_eq!((policy.grade, policy.fix.as_ref().unwrap().0), (Grade::Fix, Who::MachineAdministrator));
        assert!(policy.seen.contains("keydesk does not start: /etc/p: line 2"), "{}", policy.seen);
    }

    #[test]
    fn a_policy_in_force_is_told_by_file_and_digest() {
        let checks = examine(&setup(seen("/c", None), seen("/etc/p", None), Some("19c2")));
        assert_eq!(checks[2].finding, Finding::well("/etc/p; in force: 19c2"));
    }
}
