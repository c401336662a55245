//! Pure nouns and their rules. Nothing here reads a clock, a file or a socket, and nothing here imports another room.

pub mod age;
pub mod attendance;
pub mod audit;
pub mod call;
pub mod caller;
pub mod capability;
pub mod cell;
pub mod connection;
pub mod debt;
pub mod device;
pub mod digest;
pub mod disclosure;
pub mod escrow;
pub mod event;
pub mod evidence;
pub mod foreign;
pub mod key;
pub mod key_id;
pub mod moment;
pub mod note;
pub mod outbox;
pub mod policy;
pub mod query;
pub mod reconcile;
pub mod recovery_password;
pub mod technician;
pub mod ticket;
pub mod timeline;
pub mod verdict;
pub mod watch;
pub mod work;

/// A GUID with a meaning of its own, so that an object id is never taken for a device id.
macro_rules! guid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.trim().parse().map(Self)
            }
        }
    };
}
pub(crate) use guid;
