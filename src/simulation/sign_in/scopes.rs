//! Which permissions a token may carry, out of the words a client asks with.

use super::failure::Failure;

/// Delegated Graph permissions the tenant knows.
const GRAPH: &[&str] = &[
    "AuditLog.Read.All",
    "BitlockerKey.Read.All",
    "BitlockerKey.ReadBasic.All",
    "Device.Read.All",
    "DeviceManagementConfiguration.Read.All",
    "DeviceManagementConfiguration.ReadWrite.All",
    "DeviceManagementManagedDevices.PrivilegedOperations.All",
    "DeviceManagementManagedDevices.Read.All",
    "DeviceManagementManagedDevices.ReadWrite.All",
    "Directory.AccessAsUser.All",
    "Directory.Read.All",
    "Organization.Read.All",
    "User.Read",
    "User.Read.All",
    "User.ReadBasic.All",
];

/// The application id of Microsoft Graph, the audience of its tokens.
pub const GRAPH_AUDIENCE: &str = "00000003-0000-0000-c000-000000000000";

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Whose token it is to be: Graph's application id, or another resource's address.
    pub audience: String,
    /// The permissions, in Graph's own spelling.
    pub permissions: Vec<String>,
    /// The scope that the answer names: as asked, without `offline_access`.
    pub granted: String,
    pub id_token: bool,
    pub refresh_token: bool,
    /// Whether one was named for which nobody has consented.
    pub lacks_consent: bool,
}

/// Understand a scope parameter: short names, names behind any Graph host (the tenant's own too), `.default`.
pub fn understand(scope: &str, base: &str, without_consent: &[String]) -> Result<Asked, Failure> {
    let mut asked = Asked {
        audience: GRAPH_AUDIENCE.to_owned(),
        permissions: Vec::new(),
        granted: String::new(),
        id_token: false,
        refresh_token: false,
        lacks_consent: false,
    };
    let mut granted = Vec::new();
    for word in scope.split_whitespace() {
        match word.to_ascii_lowercase().as_str() {
            "openid" => asked.id_token = true,
            "offline_access" => asked.refresh_token = true,
            "profile" | "email" => {}
            _ => asked.add_resource(word, base, without_consent)?,
        }
        if !word.eq_ignore_ascii_case("offline_access") {
            granted.push(word);
        }
    }
    if granted.is_empty() && !asked.refresh_token {
        return Err(Failure::missing("scope"));
    }
    asked.granted = granted.join(" ");
    Ok(asked)
}

impl Asked {
    fn add_resource(&mut self, word: &str, base: &str, without_consent: &[String]) -> Result<(), Failure> {
        let (resource, name) = match word.rsplit_once('/') {
            Some((resource, name)) => (Some(resource.trim_end_matches('/')), name),
            None => (None, word),
        };
        let refused = |name: &str| without_consent.iter().any(|scope| scope.eq_ignore_ascii_case(name));
        if let Some(known) = GRAPH.iter().find(|known| known.eq_ignore_ascii_case(name)) {
            self.lacks_consent |= refused(known);
            self.permissions.push((*known).to_owned());
            return Ok(());
        }
        match resource {
            Some(resource) if name == ".default" && is_graph(resource, base) => {
                self.permissions.extend(GRAPH.iter().filter(|name| !refused(name)).map(ToString::to_string));
                Ok(())
            }
            Some(resource) if !is_graph(resource, base) && resource.contains("://") => {
                resource.clone_into(&mut self.audience);
                self.permissions.push("user_impersonation".to_owned());
                Ok(())
            }
            _ => Err(Failure::unknown_scope(word)),
        }
    }
}

fn is_graph(resource: &str, base: &str) -> bool {
    let host = resource.split_once("://").map_or(resource, |(_, host)| host);
    resource == base || resource == GRAPH_AUDIENCE || host.contains("graph.microsoft") || host.contains("graph.china")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "http://127.0.0.1:4711";

    #[test]
    fn short_names_and_names_behind_a_graph_host_are_the_same_permission() {
        for scope in [
            "bitlockerkey.read.all",
            "https://graph.microsoft.com/BitlockerKey.Read.All",
            "http://127.0.0.1:4711/BitlockerKey.Read.All",
        ] {
            let asked = understand(scope, BASE, &[]).unwrap();
            assert_eq!(asked.permissions, ["BitlockerKey.Read.All"], "{scope}");
            assert_eq!(asked.audience, GRAPH_AUDIENCE);
        }
    }

    #[test]
    fn the_default_scope_carries_everything_that_was_consented_to() {
        let withheld = ["AuditLog.Read.All".to_owned()];
        let asked = understand("https://graph.microsoft.com//.default openid", BASE, &withheld).unwrap();
        assert!(asked.permissions.contains(&"Device.Read.All".to_owned()) && asked.id_token);
        assert!(!asked.permissions.contains(&withheld[0]) && !asked.lacks_consent);
    }

    #[test]
    fn a_token_for_another_resource_is_not_one_for_graph() {
        let asked = understand("https://management.core.windows.net//.default", BASE, &[]).unwrap();
        assert_eq!(asked.audience, "https://management.core.windows.net");
    }

    #[test]
    fn an_unknown_permission_is_refused() {
        assert_eq!(understand("Keys.Everything", BASE, &[]).unwrap_err().code, 70_011);
    }
}
