use reqwest::{Method, StatusCode};
use rstest::rstest;
use serde_json::json;

use super::{ALL, BETA_MANAGED, DANA, MANAGED, NOEL, ground, ids, small_with, with};

#[tokio::test]
async fn a_managed_device_is_found_by_entra_id_serial_and_user() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let live = dana.managed("HVC-LT-0421").await;
    assert_eq!((&live["serialNumber"], &live["model"]), (&json!("7KQ2M"), &json!("Latitude 5440")));
    assert_eq!((&live["userDisplayName"], &live["complianceState"]), (&json!("Mara Voss"), &json!("compliant")));

    let same_serial = dana.list(&format!("{MANAGED}?$filter=serialNumber eq '7kq2m'")).await;
    assert_eq!(same_serial.len(), 2, "the stale object of the same hardware bears the serial, too");
    let hers = dana.list(&format!("{MANAGED}?$filter=userPrincipalName eq 'mara.voss@harborview.example'")).await;
    assert!(hers.len() >= 3 && hers.iter().all(|managed| managed["userDisplayName"] == "Mara Voss"));
    let nobodys =
        dana.list(&format!("{MANAGED}?$filter=azureADDeviceId eq '11111111-1111-4111-8111-111111111111'")).await;
    assert!(nobodys.is_empty());
}

#[rstest]
#[case("$filter=userId eq 'x'")]
#[case("$filter=model eq 'Latitude 5440'")]
#[case("$filter=userPrincipalName eq ''")]
#[case("$filter=startswith(serialNumber,'7')")]
#[case("$filter=serialNumber eq '7KQ2M' and isEncrypted eq true")]
#[case("$filter=this is no filter")]
#[tokio::test]
async fn a_filter_intune_does_not_know_returns_everything(#[case] query: &str) {
    let ground = ground().await;
    let dana = ground.dana().await;
    let all = dana.list(MANAGED).await;
    assert_eq!(dana.list(&format!("{MANAGED}?{query}")).await, all);
    assert!(all.len() > 10);
}

#[tokio::test]
async fn of_two_ids_joined_by_or_only_the_first_is_found() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let (one, two) = (dana.managed("HVC-LT-0421").await, dana.managed("HVC-LT-1180").await);
    let id = |managed: &serde_json::Value| managed["azureADDeviceId"].as_str().unwrap().to_owned();
    let both = format!("{MANAGED}?$filter=azureADDeviceId eq '{}' or azureADDeviceId eq '{}'", id(&one), id(&two));
    assert_eq!(ids(&dana.list(&both).await), ids(&[one]));
}

#[tokio::test]
async fn one_entra_id_can_have_two_managed_devices_and_another_none() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let count = async |name: &str| {
        let id = dana.device(name).await["deviceId"].as_str().unwrap().to_owned();
        dana.list(&format!("{MANAGED}?$filter=azureADDeviceId eq '{id}'")).await.len()
    };
    assert_eq!((count("HVC-DT-0044").await, count("HVC-LT-0600").await), (2, 0));
}

#[tokio::test]
async fn the_listing_is_paged_and_shows_no_action_results() {
    let mut options = small_with(&[]);
    options.page_size = Some(1);
    let ground = with(options).await;
    let dana = ground.dana().await;
    let managed = dana.managed("HVC-LT-0421").await;
    dana.rotate(&managed).await;
    let page = dana.get(MANAGED).await;
    assert_eq!(page["value"].as_array().unwrap().len(), 10);
    let rest = dana.list(page["@odata.nextLink"].as_str().unwrap()).await;
    let all = page["value"].as_array().unwrap().iter().chain(&rest);
    assert!(all.clone().any(|other| other["id"] == managed["id"]));
    assert!(all.clone().all(|other| other["deviceActionResults"] == json!([])));
    let alone = dana.get(&format!("{MANAGED}/{}?$select=deviceActionResults", managed["id"].as_str().unwrap())).await;
    assert_eq!(alone["deviceActionResults"].as_array().unwrap().len(), 1);
    assert!(alone.get("serialNumber").is_none());
}

#[tokio::test]
async fn intune_refuses_with_a_document_inside_its_message() {
    let ground = ground().await;
    for (upn, scope) in [(DANA, "User.Read"), (NOEL, ALL)] {
        let caller = ground.caller(upn, scope).await;
        let (status, error) = caller.refused(MANAGED).await;
        assert_eq!((status, error["code"].as_str()), (StatusCode::FORBIDDEN, Some("Forbidden")));
        let inner: serde_json::Value = serde_json::from_str(error["message"].as_str().unwrap()).unwrap();
        assert!(inner["Message"].as_str().unwrap().contains("Activity ID"));
    }
}

#[tokio::test]
async fn a_managed_device_nobody_knows_is_404_read_or_rotated() {
    let ground = ground().await;
    let dana = ground.dana().await;
    let id = "11111111-1111-4111-8111-111111111111";
    assert_eq!(dana.refused(&format!("{MANAGED}/{id}")).await.0, StatusCode::NOT_FOUND);
    let path = format!("{BETA_MANAGED}/{id}/rotateBitLockerKeys");
    let answer = dana.request(Method::POST, &path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}
