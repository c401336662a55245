//! The scopes of a token request: the table of [`crate::domain::capability`], with the cloud's own Graph host before each permission.

use url::Url;

use crate::domain::capability::Feature;

/// Asked for every time: who it is, and a refresh token.
const ALWAYS: [&str; 3] = ["openid", "profile", "offline_access"];

/// The scopes to ask for, one list an alternative.
pub(super) fn asks(feature: Feature, graph: &Url) -> Vec<Vec<String>> {
    feature.capability().asks().into_iter().map(|alternative| with_host(alternative, graph)).collect()
}

/// What a prompt asks for: listing, and the first choice of every other feature.
pub(super) fn prompt(features: &[Feature], graph: &Url) -> Vec<String> {
    let mut names = Vec::new();
    for feature in std::iter::once(&Feature::List).chain(features) {
        let first = feature.capability().asks().into_iter().next().unwrap_or_default();
        names.extend(first.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
    }
    with_host(names, graph)
}

fn with_host(permissions: Vec<&'static str>, graph: &Url) -> Vec<String> {
    let host = graph.as_str().trim_end_matches('/');
    let permissions = permissions.into_iter().map(|permission| format!("{host}/{permission}"));
    ALWAYS.iter().map(ToString::to_string).chain(permissions).collect()
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
    fn a_prompt_asks_for_listing_and_for_each_scope_once() {
        let graph: Url = "https://graph.example".parse().unwrap();
        let bare = |features: &[Feature]| -> Vec<String> {
            let all = prompt(features, &graph);
            all.iter().filter_map(|scope| scope.strip_prefix("https://graph.example/")).map(String::from).collect()
        };
        assert!(bare(&[]).contains(&"BitlockerKey.ReadBasic.All".into()) && !bare(&[]).join(" ").contains("Write"));
        let everything = bare(&Feature::ALL);
        assert!(everything.contains(&"AuditLog.Read.All".into()), "{everything:?}");
        let mut once = everything.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), everything.len());
    }
}
