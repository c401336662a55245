//! keydesk: the console for the person who answers the phone when a laptop shows the BitLocker recovery screen.
//!
//! # The map
//!
//! | room | what stands in it | may import |
//! |---|---|---|
//! | [`domain`] | pure nouns and their rules; [`domain::work`]: what can be asked and answered, one file a verb | nothing of ours |
//! | [`runbook`] | the steps of a call, as data, and the walk through one | domain |
//! | [`http`] | one client: trust store, proxies, limits, retries, request ids, redaction | domain |
//! | [`store`] | `ledger.db`, the truth, and `index.db`, which can be thrown away | domain |
//! | [`clipboard`] | copy so that no history keeps it, and take it back | domain |
//! | [`sign_in`] | device code, browser, session, vault | http, domain |
//! | [`graph`] | Microsoft Graph: a page, and one file a resource | `sign_in`, http, domain |
//! | [`forward`] | copies of the ledger's rows, to syslog and to a webhook | http, domain |
//! | [`evidence`] | the files of an evidence pack: JSON, a page, a script, one zip | domain |
//! | [`config`] | file, environment, flags; the policy; paths; logging | domain |
//! | [`desk`] | the wiring: config, policy, clock, stores and clients become one [`desk::Desk`] | config, graph, forward, `sign_in`, http, store, clipboard, domain |
//! | [`ops`] | one file a verb: the order of steps lives here | desk, evidence, graph, forward, `sign_in`, http, store, clipboard, domain |
//! | [`tui`] | the model, `update`, the key table, a file a screen | domain, runbook |
//! | [`runtime`] | the event loop; effects performed; the terminal entered and left | tui, ops, desk, config, domain |
//! | [`cli`] | one file a command | desk, ops, runtime, config, simulation, domain |
//! | [`simulation`] | the simulated tenant, a real HTTP server on loopback | nothing of ours |
//!
//! `tests/arrows.rs` reads this table and `src/`, and fails when an import points the wrong way.
//!
//! # The flow
//!
//! ```text
//! key ─► keymap ─► Msg ─► update(&mut Model) ─► effects ─► runtime::perform ─► ops ─► graph · store · vault · clipboard
//!                  ▲                                              │
//!                  ├── Msg::Progress { ask, .. }   any number ◄───┤
//!                  ├── Msg::Answer   { ask, .. }   exactly one ◄──┤            Model ─► view(&Model) ─► terminal
//!                  └── Msg::News                   the watcher ◄──┘
//! ```
//!
//! # The promises
//!
//! 1. *No record, no key*: [`ops::disclose`] commits the intent to the ledger before the key request leaves.
//! 2. *No key left behind*: [`domain::recovery_password`] is the only type that holds one; `tests/console.rs` searches for its
//!    digits what a call leaves behind.
//! 3. *No debt forgotten*: [`ops::watch`] follows every debt until it is proved or waived.

pub mod cli;
pub mod clipboard;
pub mod config;
pub mod desk;
pub mod domain;
pub mod evidence;
pub mod forward;
pub mod graph;
pub mod http;
pub mod ops;
pub mod runbook;
pub mod runtime;
pub mod sign_in;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod store;
pub mod tui;
