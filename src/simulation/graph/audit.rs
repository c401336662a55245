//! The directory's audit log.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Asking, failure::Failure, listing::Paging};
use crate::simulation::{
    odata::{self, filter::Filter},
    tenant::Tenant,
    web,
    world::{Activity, Audit, World},
};

const READ: &[&str] = &["AuditLog.Read.All", "Directory.Read.All"];

/// Properties that the log is filtered by; any below `initiatedBy`, too.
const FILTERABLE: &[&str] =
    &["activitydatetime", "activitydisplayname", "correlationid", "id", "loggedbyservice", "targetresources"];

const MOST_ON_A_PAGE: usize = 1000;
const RATE_WINDOW: SignedDuration = SignedDuration::from_secs(10);

/// A record as Graph prints one.
fn printed(world: &World, audit: &Audit) -> Value {
    let person = audit.person.and_then(|id| world.person(id));
    let user = person.map(|person| {
        json!({
            "id": person.id, "displayName": null, "userPrincipalName": person.upn, "ipAddress": "10.0.0.0",
            "userType": null, "homeTenantId": null, "homeTenantName": null,
        })
    });
    let app = person.is_none().then(|| {
        json!({
            "appId": null, "displayName": "Device Registration Service", "servicePrincipalId": null,
            "servicePrincipalName": null,
        })
    });
    let (did, operation) = match audit.activity {
        Activity::Read => ("retrieved", "Read"),
        Activity::Add => ("added", "Add"),
        Activity::Delete => ("deleted", "Delete"),
    };
    let info = format!(
        "Successfully {did} BitLocker recovery key associated with key ID: '{}'. Backed up from device: '{}'",
        audit.key, audit.device_id
    );
    json!({
        "id": audit.id,
        "category": "KeyManagement",
        "correlationId": audit.correlation,
        "result": "success",
        "resultReason": "",
        "activityDisplayName": audit.activity.as_graph(),
        "activityDateTime": web::ticks(audit.at),
        "loggedByService": "Device Registration Service",
        "operationType": operation,
        "initiatedBy": { "app": app, "user": user },
        "targetResources": [{
            "id": audit.device_id,
            "displayName": audit.key,
            "type": "Other",
            "userPrincipalName": null,
            "groupType": null,
            "modifiedProperties": [],
        }],
        "additionalDetails": [{ "key": "AdditionalInfo", "value": info }],
    })
}

impl Asking {
    /// `GET /auditLogs/directoryAudits`, newest first.
    pub fn list_audits(&self, tenant: &Tenant) -> Result<Value, Failure> {
        if !self.bearer.may(READ) || !self.bearer.person.reads_audit() {
            return Err(Failure::directory_denied());
        }
        within_rate(tenant)?;
        let filter = self.audit_filter()?;
        let size = match self.query.top() {
            Ok(top) => top.unwrap_or(MOST_ON_A_PAGE),
            Err(text) => {
                return Err(Failure::bad_filter(format!("Invalid value '{text}' for $top query option found.")));
            }
        };
        if !(1..=MOST_ON_A_PAGE).contains(&size) {
            return Err(Failure::bad_filter("The value of $top must be between 1 and 1000."));
        }
        let size = size.min(tenant.scenario().graph.audit_page_size);
        let select = self.query.select();
        let ascending = self.query.get("$orderby").is_some_and(|order| order.trim().to_lowercase().ends_with(" asc"));
        tenant.with(|state, now| {
            let world = &state.world;
            let visible = world.audits.iter().filter(|audit| audit.visible <= now);
            let passes = |audit: &&Audit| filter.as_ref().is_none_or(|filter| filter.passes(&printed(world, audit)));
            let mut found: Vec<(String, &Audit)> =
                visible.filter(passes).map(|audit| (place(audit, ascending), audit)).collect();
            found.sort_by(|(a, _), (b, _)| a.cmp(b));
            let print = |audit: &Audit| odata::project(printed(world, audit), select.as_deref());
            self.page("auditLogs/directoryAudits", Paging { size, empty_every: 0 }, found.into_iter(), print)
        })
    }

    fn audit_filter(&self) -> Result<Option<Filter>, Failure> {
        let Some(text) = self.query.get("$filter") else { return Ok(None) };
        let filter =
            Filter::parse(text).map_err(|error| Failure::bad_filter(format!("Invalid filter clause: {error}")))?;
        for path in filter.paths() {
            let path = path.to_ascii_lowercase();
            if !FILTERABLE.contains(&path.as_str()) && !path.starts_with("initiatedby/") {
                return Err(Failure::bad_filter(format!("Invalid filter clause: '{path}' cannot be filtered by.")));
            }
        }
        Ok(Some(filter))
    }
}

/// Hold the query to the published rate of the log, where the scenario wants that.
fn within_rate(tenant: &Tenant) -> Result<(), Failure> {
    let most = tenant.scenario().graph.audit_queries_in_ten_seconds;
    if most == 0 {
        return Ok(());
    }
    tenant.with(|state, now| {
        state.audit_queries.retain(|at| now.duration_since(*at) < RATE_WINDOW);
        if state.audit_queries.len() >= most {
            return Err(Failure::too_many());
        }
        state.audit_queries.push(now);
        Ok(())
    })
}

/// What tells a record's place: its moment, counted backwards where the newest come first.
fn place(audit: &Audit, ascending: bool) -> String {
    let moment = audit.at.as_microsecond();
    let moment = if ascending { moment } else { i64::MAX - moment };
    format!("{moment:020} {}", audit.id)
}
