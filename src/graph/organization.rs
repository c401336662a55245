//! The tenant's name. Source: `GET /organization`.

use serde::Deserialize;

use super::{Ask, Edition, Graph, GraphError, page::select, wire::Scalar};
use crate::domain::{capability::Feature, foreign::Foreign, technician::Tenant};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Row {
    id: Scalar,
    display_name: Scalar,
}

impl Graph {
    /// The tenant, by name where Graph tells it, else by its id: a name is no reason to fail a sign-in.
    pub async fn organization(&self) -> Result<Tenant, GraphError> {
        let url = self.url(Edition::V1, &["organization"]);
        let ask = || Ask::get(Feature::List, select(url.clone(), "id,displayName", &[]));
        let row = |row: Row| Some(Tenant { id: row.id.real_guid()?, name: row.display_name.foreign() });
        let told = match self.page(ask(), None, row).await {
            Ok(page) => page.items.into_iter().next().filter(|tenant| !tenant.name.is_empty()),
            Err(error @ (GraphError::SignIn(_) | GraphError::Unreachable { .. })) => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "the tenant has no name for us");
                None
            }
        };
        let known = self.session.tenant_id();
        told.or_else(|| known.map(|id| Tenant { id, name: Foreign::new(id.to_string()) })).ok_or_else(|| {
            GraphError::Unexpected {
                status: None,
                code: String::new(),
                what: "nothing says which tenant this is".into(),
                report: None,
            }
        })
    }
}
