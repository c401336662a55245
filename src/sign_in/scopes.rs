//! Which permission each feature asks for: the one table.
//!
//! Source: Microsoft's permissions file and the reference pages. They disagree on `rotateBitLockerKeys`: the page names
//! `DeviceManagementManagedDevices.ReadWrite.All`, the file also the narrower-sounding `DeviceManagementConfiguration.ReadWrite.All`. Both
//! name the first, so it is asked for first, and the other where nobody has consented to it.

use url::Url;

use crate::domain::capability::Feature;

/// Asked for every time: who it is, and a refresh token.
const ALWAYS: [&str; 3] = ["openid", "profile", "offline_access"];

struct Row {
    /// What is asked for: each alternative in turn, until one has consent.
    asks: &'static [&'static [&'static str]],
    /// What has to be granted: one of each.
    needs: &'static [&'static [&'static str]],
}

const fn row(feature: Feature) -> Row {
    match feature {
        Feature::List => Row {
            asks: &[&[
                "BitlockerKey.ReadBasic.All",
                "Device.Read.All",
                "DeviceManagementManagedDevices.Read.All",
                "User.Read",
            ]],
            needs: &[
                &["BitlockerKey.ReadBasic.All", "BitlockerKey.Read.All"],
                &["Device.Read.All", "Directory.Read.All", "Directory.AccessAsUser.All"],
            ],
        },
        Feature::Reveal => Row { asks: &[&["BitlockerKey.Read.All"]], needs: &[&["BitlockerKey.Read.All"]] },
        Feature::Rotate => Row {
            asks: &[
                &["DeviceManagementManagedDevices.ReadWrite.All"],
                &["DeviceManagementConfiguration.ReadWrite.All"],
            ],
            needs: &[&["DeviceManagementManagedDevices.ReadWrite.All", "DeviceManagementConfiguration.ReadWrite.All"]],
        },
        Feature::Audit => {
            Row { asks: &[&["AuditLog.Read.All"]], needs: &[&["AuditLog.Read.All", "Directory.Read.All"]] }
        }
    }
}

/// The scopes to ask for, one list an alternative, with the cloud's own Graph host before each permission.
pub(super) fn asks(feature: Feature, graph: &Url) -> Vec<Vec<String>> {
    let prefix = graph.as_str().trim_end_matches('/');
    let prefixed = |permission: &&str| format!("{prefix}/{permission}");
    row(feature)
        .asks
        .iter()
        .map(|alternative| ALWAYS.iter().map(ToString::to_string).chain(alternative.iter().map(prefixed)).collect())
        .collect()
}

/// The permissions of a feature as an administrator reads them, for sentences.
pub(super) fn names(feature: Feature) -> String {
    let permissions = row(feature).asks.first().copied().unwrap_or_default();
    permissions.iter().copied().filter(|name| *name != "User.Read").collect::<Vec<_>>().join(", ")
}

/// Whether `granted`, bare or with a host before it, is enough for the feature.
pub(super) fn suffices(feature: Feature, granted: &[impl AsRef<str>]) -> bool {
    row(feature).needs.iter().all(|need| {
        granted.iter().any(|scope| {
            let bare = scope.as_ref().rsplit('/').next().unwrap_or_default();
            need.iter().any(|name| name.eq_ignore_ascii_case(bare))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_asked_for_with_the_graph_host_of_the_cloud() {
        let graph: Url = "https://graph.microsoft.us/".parse().unwrap();
        let asked = asks(Feature::Reveal, &graph);
        assert_eq!(
            asked,
            [["openid", "profile", "offline_access", "https://graph.microsoft.us/BitlockerKey.Read.All"]]
        );
    }

    #[test]
    fn rotation_has_a_second_way_to_be_granted() {
        let graph: Url = "https://graph.microsoft.com".parse().unwrap();
        assert_eq!(asks(Feature::Rotate, &graph).len(), 2);
        assert!(suffices(Feature::Rotate, &["DeviceManagementConfiguration.ReadWrite.All"]));
    }

    #[test]
    fn granted_scopes_are_read_bare_or_with_a_host_in_any_case() {
        let granted = ["https://graph.microsoft.com/bitlockerkey.readbasic.all", "Device.Read.All", "openid"];
        assert!(suffices(Feature::List, &granted));
        assert!(!suffices(Feature::Reveal, &granted));
        assert!(!suffices(Feature::List, &["Device.Read.All"]));
    }
}
