//! The terminal interface: a [`Model`], a pure [`update()`], a pure [`view()`].
//!
//! A screen is one file in `screens/`: its state, what its keys do, what it draws, its tests. `keymap` says which key does what where;
//! `canvas` puts text by row and column as the drawings count them; `theme` gives each role its attributes.
//!
//! To add a screen: a file in `screens/` with `act` and `view`; a [`Place`] for each of its parts, in `keymap`; its keys in
//! `assets/keymap.toml`; one line in `update::act` and one in `view::draw`. The footer and F1 come from the table.
//!
//! Nothing here reads a clock, a file or a socket: time and answers enter as a [`Msg`], wishes leave as an [`Effect`].

mod asks;
mod call_desk;
mod canvas;
mod expire;
mod field;
mod footer;
mod keymap;
mod model;
mod msg;
mod prompt;
mod screens;
mod skeleton;
mod theme;
mod update;
mod view;
mod waits;
mod words;

#[cfg(test)]
mod tests;

pub use keymap::{Action, Keymap, KeymapError, Place};
pub use model::{AssetError, Model, Setup};
pub use msg::{Effect, KeyPress, Msg};
pub use theme::{Colours, Glyphs};
pub use update::update;
pub use view::view;
