//! Who is signed in, on Graph's word. Source: `GET /me`, delegated `User.Read`.

use serde::Deserialize;

use super::{Ask, Edition, Graph, GraphError, page::select, wire::Scalar};
use crate::domain::{
    capability::Feature,
    foreign::Foreign,
    technician::{Technician, UserId},
};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Row {
    id: Scalar,
    user_principal_name: Scalar,
    display_name: Scalar,
}

impl Graph {
    /// The signed-in technician.
    pub async fn me(&self) -> Result<Technician, GraphError> {
        let url = select(self.url(Edition::V1, &["me"]), "id,userPrincipalName,displayName", &[]);
        let answer = self.ask(Ask::get(Feature::List, url)).await?;
        let row: Row =
            serde_json::from_slice(&answer.body).map_err(|_| GraphError::odd(&answer, "it names no user"))?;
        let id = row.id.real_guid().ok_or_else(|| GraphError::odd(&answer, "it names no user"))?;
        let upn = row.user_principal_name.foreign();
        let name = row.display_name.foreign();
        let name = if name.is_empty() { Foreign::new(upn.raw()) } else { name };
        Ok(Technician { id: UserId(id), upn, name })
    }
}
