//! Recovery keys: their metadata, and the one request that is a disclosure.
//!
//! Source: `informationProtection/bitlocker/recoveryKeys`. The list filters by device only and takes no `$top`. Any `$select` on a single key
//! makes Entra record a read, and any other than exactly `key` answers without one; so metadata is asked for without `$select`, and a
//! disclosure with exactly that.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    Ask, Edition, Graph, GraphError, Link, NoAnswer, Page, RevealError,
    wire::{self, Scalar},
};
use crate::{
    domain::{
        call::DisclosureId,
        capability::Feature,
        device::{DeviceId, NO_DEVICE},
        key::{Key, Volume},
        key_id::KeyId,
        recovery_password::RecoveryPassword,
    },
    http::{Answer, Repeat},
};

const PATH: [&str; 3] = ["informationProtection", "bitlocker", "recoveryKeys"];
/// One key is some hundred bytes. In bytes.
const LONGEST_KEY_ANSWER: usize = 64 * 1024;

/// The keys of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Rows that name the device that was asked for.
    pub keys: Vec<Key>,
    /// Rows that name another: Microsoft's pages differ on whether a moved drive's key is filed under the old or the new device.
    pub elsewhere: Vec<Key>,
    /// Entra's clock when it answered.
    pub entra_time: Option<Timestamp>,
}

/// Entra handed it out.
#[derive(Clone, Debug, PartialEq)]
pub struct Revealed {
    pub password: RecoveryPassword,
    pub request_id: Option<String>,
    pub status: u16,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Row {
    id: Scalar,
    created_date_time: Scalar,
    volume_type: Scalar,
    device_id: Scalar,
}

impl Row {
    /// A key without a date counts as the oldest, one without a device as nobody's: it is shown all the same.
    fn read(self) -> Option<Key> {
        Some(Key {
            id: KeyId(self.id.real_guid()?),
            device: self.device_id.guid().map_or(NO_DEVICE, DeviceId),
            escrowed: self.created_date_time.time().unwrap_or(Timestamp::UNIX_EPOCH),
            volume: volume(self.volume_type.text().unwrap_or_default()),
        })
    }
}

/// Documented as a number, seen as text of a number, named in the schema.
fn volume(said: &str) -> Volume {
    match said.trim().to_ascii_lowercase().as_str() {
        "1" | "operatingsystemvolume" => Volume::OperatingSystem,
        "2" | "fixeddatavolume" => Volume::FixedData,
        "3" | "removabledatavolume" => Volume::RemovableData,
        _ => Volume::Unknown,
    }
}

/// A single key's answer: documented inside `value`, seen at the top.
#[derive(Deserialize)]
struct Entity {
    #[serde(flatten)]
    top: Row,
    value: Option<Row>,
}

/// The same with the secret, which goes from the answer's buffer straight into its own type: nothing in between keeps a copy.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Secret {
    id: Option<KeyId>,
    key: Option<SecretString>,
    value: Option<Inner>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Inner {
    id: Option<KeyId>,
    key: Option<SecretString>,
}

impl Listed {
    /// Every row, under whichever device Entra files it.
    pub fn all(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().chain(&self.elsewhere)
    }
}

impl Graph {
    /// The keys of one device. A device Entra does not know has none.
    pub async fn keys_of_device(&self, device: DeviceId) -> Result<Listed, GraphError> {
        let filter = format!("deviceId eq '{device}'");
        let ask = || Ask::get(Feature::List, wire::with_query(self.url(Edition::V1, &PATH), &[("$filter", &filter)]));
        let page = match self.all(|| ask().telling(), Row::read).await {
            Err(GraphError::NotFound { .. }) => return Ok(Listed::default()),
            page => page?,
        };
        let (keys, elsewhere) = page.items.into_iter().partition(|key| key.device == device);
        Ok(Listed { keys, elsewhere, entra_time: page.entra_time })
    }

    /// One page of every key's metadata.
    pub async fn keys_page(&self, link: Option<&Link>) -> Result<Page<Key>, GraphError> {
        let ask = Ask::get(Feature::List, self.url(Edition::V1, &PATH)).telling();
        self.page(ask, link, Row::read).await
    }

    /// One key's metadata. No `$select`: Entra records a read for every one.
    pub async fn key_metadata(&self, id: KeyId) -> Result<Key, GraphError> {
        let answer = self.ask(Ask::get(Feature::List, self.key_url(id))).await?;
        let odd = || GraphError::odd(&answer, "it holds no key");
        let entity: Entity = serde_json::from_slice(&answer.body).map_err(|_| odd())?;
        let key = entity.value.unwrap_or(entity.top).read().ok_or_else(odd)?;
        if key.id == id { Ok(key) } else { Err(GraphError::odd(&answer, "it holds another key")) }
    }

    /// Reads one recovery password. Entra records it, so it is sent again only where the service says that it did nothing.
    pub async fn reveal(&self, id: KeyId, disclosure: DisclosureId) -> Result<Revealed, RevealError> {
        let mut url = self.key_url(id);
        url.set_query(Some("$select=key"));
        let mut ask = Ask::get(Feature::Reveal, url).repeat(Repeat::NotServed).id(disclosure.0).telling();
        ask.request.limit = LONGEST_KEY_ANSWER;
        let answer = self.send(ask).await.map_err(|error: NoAnswer| RevealError::from(error))?;
        if answer.is_success() { read_secret(&answer, id) } else { Err(RevealError::from_answer(&answer)) }
    }

    fn key_url(&self, id: KeyId) -> url::Url {
        let id = id.0.to_string();
        self.url(Edition::V1, &[PATH[0], PATH[1], PATH[2], &id])
    }
}

fn read_secret(answer: &Answer, asked: KeyId) -> Result<Revealed, RevealError> {
    let unknown = |why: &str| RevealError::Unknown { why: why.to_owned(), report: answer.report.clone() };
    let secret: Secret = serde_json::from_slice(&answer.body).map_err(|_| unknown("its answer cannot be read"))?;
    let Inner { id, key } = match secret.value {
        Some(inner) if secret.key.is_none() => inner,
        _ => Inner { id: secret.id, key: secret.key },
    };
    if id.is_some_and(|id| id != asked) {
        return Err(unknown("it answered with another key than the one asked for"));
    }
    match key.filter(|key| !key.expose_secret().trim().is_empty()) {
        Some(key) => {
            let (request_id, status) = (answer.request_id.clone(), answer.status);
            Ok(Revealed { password: RecoveryPassword::read(&key), request_id, status })
        }
        None => Err(RevealError::WithoutKey { status: answer.status, report: answer.report.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use zeroize::Zeroizing;

    use super::*;

    const ID: &str = "b465e4e8-e4e8-b465-e8e4-65b4e8e465b4";

    fn id() -> KeyId {
        KeyId(ID.parse().unwrap())
    }

    fn answer(body: &str) -> Answer {
        Answer::of_test(200, body)
    }

    #[rstest]
    #[case(r#""1""#, Volume::OperatingSystem)]
    #[case("1", Volume::OperatingSystem)]
    #[case(r#""operatingSystemVolume""#, Volume::OperatingSystem)]
    #[case("2", Volume::FixedData)]
    #[case(r#""3""#, Volume::RemovableData)]
    #[case("4", Volume::Unknown)]
    #[case(r#""somethingNew""#, Volume::Unknown)]
    #[case("null", Volume::Unknown)]
    #[case("{}", Volume::Unknown)]
    fn a_volume_type_is_read_in_all_its_forms(#[case] json: &str, #[case] expected: Volume) {
        let row: Row = serde_json::from_str(&format!(r#"{{"id":"{ID}","volumeType":{json}}}"#)).unwrap();
        assert_eq!(row.read().unwrap().volume, expected);
    }

    #[test]
    fn a_key_without_date_or_device_is_not_lost() {
        let row: Row = serde_json::from_str(&format!(r#"{{"id":"{ID}","deviceId":null}}"#)).unwrap();
        let key = row.read().unwrap();
        assert_eq!((key.device, key.escrowed, key.volume), (NO_DEVICE, Timestamp::UNIX_EPOCH, Volume::Unknown));
    }

    #[rstest]
    #[case::at_the_top(format!(r#"{{"id":"{ID}","volumeType":"1","key":"496298-461032"}}"#))]
    #[case::inside_value(format!(r#"{{"@odata.context":"x","value":{{"id":"{ID}","key":"496298-461032"}}}}"#))]
    #[case::in_capitals(format!(r#"{{"id":"{}","key":"496298-461032"}}"#, ID.to_uppercase()))]
    #[case::bare(r#"{"key":"496298-461032"}"#.to_owned())]
    fn a_key_is_read_wherever_entra_puts_it(#[case] body: String) {
        let revealed = read_secret(&answer(&body), id()).unwrap();
        assert_eq!(revealed.password.block(0).unwrap().expose_secret(), "496298");
        assert!(!format!("{revealed:?}").contains("496298"));
    }

    #[rstest]
    #[case(format!(r#"{{"id":"{ID}","volumeType":"1"}}"#))]
    #[case(format!(r#"{{"id":"{ID}","key":null}}"#))]
    #[case(format!(r#"{{"id":"{ID}","key":"  "}}"#))]
    #[case("{}".to_owned())]
    #[case(r#"{"value":{}}"#.to_owned())]
    fn success_without_a_key_is_a_failure_of_its_own(#[case] body: String) {
        assert!(matches!(read_secret(&answer(&body), id()), Err(RevealError::WithoutKey { status: 200, .. })));
    }

    #[rstest]
    #[case::another_key(r#"{"id":"00000000-e4e8-b465-e8e4-65b4e8e465b4","key":"496298"}"#)]
    #[case::a_number(r#"{"key":496298}"#)]
    #[case::a_page("<html>sign in to the hotel</html>")]
    #[case::nothing("")]
    #[case::cut_off(r#"{"key":"496298-4610"#)]
    #[case::a_list(r#"{"value":[{"key":"1"}]}"#)]
    fn an_answer_that_cannot_be_believed_leaves_the_outcome_unknown(#[case] body: &str) {
        let error = read_secret(&answer(body), id()).unwrap_err();
        assert!(matches!(error, RevealError::Unknown { .. }), "{error:?}");
        assert!(!format!("{error:?}").contains("496298"));
    }

    proptest::proptest! {
        #[test]
        fn no_answer_brings_it_down(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), key in ".*") {
            let mut odd = answer("");
            odd.body = Zeroizing::new(bytes);
            let _ = read_secret(&odd, id());
            let json = serde_json::json!({"id": ID, "key": key}).to_string();
            proptest::prop_assert_eq!(read_secret(&answer(&json), id()).is_ok(), !key.trim().is_empty());
        }
    }

    #[test]
    fn metadata_is_read_at_the_top_or_inside_value() {
        let row = format!(r#"{{"id":"{ID}","createdDateTime":"2020-06-15T13:45:30.0000000Z","volumeType":"1"}}"#);
        for body in [row.clone(), format!(r#"{{"value":{row}}}"#)] {
            let entity: Entity = serde_json::from_str(&body).unwrap();
            assert_eq!(entity.value.unwrap_or(entity.top).read().unwrap().id, id());
        }
    }
}
