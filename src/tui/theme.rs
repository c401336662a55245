//! Roles and their attributes. Words and marks carry the meaning; colour only repeats it.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of text is, never how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Text,
    /// Typed text, the device, what to say.
    Strong,
    /// Labels, disabled keys, the other blocks.
    Dim,
    /// A fact not to be seen yet.
    Mask,
    /// ▌, ► and key names.
    Accent,
    Ok,
    Warn,
    Danger,
    /// Digits and their words.
    Secret,
    /// Text being typed.
    Field,
    Tenant,
    Demo,
    /// Dark modules on their light ground.
    Qr,
}

/// Which colours the terminal gets: ANSI names only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colours {
    #[default]
    Dark,
    Light,
    HighContrast,
    /// `NO_COLOR`.
    Mono,
}

/// Which characters the terminal can draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glyphs {
    #[default]
    Unicode,
    Ascii,
}

impl Colours {
    pub fn style(self, role: Role) -> Style {
        let base = match self {
            Self::HighContrast => Style::new().fg(Color::White).bg(Color::Black),
            Self::Dark | Self::Light | Self::Mono => Style::new(),
        };
        match role {
            Role::Text => base,
            Role::Strong | Role::Secret => base.add_modifier(Modifier::BOLD),
            Role::Dim | Role::Mask => self.dim(base),
            Role::Accent => self.coloured(base, [Color::Cyan, Color::Blue, Color::LightYellow]).bold(),
            Role::Ok => self.coloured(base, [Color::Green, Color::Green, Color::LightGreen]),
            Role::Warn => self.coloured(base, [Color::Yellow, Color::Magenta, Color::LightYellow]).bold(),
            Role::Danger => self.coloured(base, [Color::Red; 3]).add_modifier(Modifier::BOLD | Modifier::REVERSED),
            Role::Field => base.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            Role::Tenant => base.add_modifier(Modifier::REVERSED),
            Role::Demo => self
                .coloured(base, [Color::Yellow, Color::Magenta, Color::LightYellow])
                .add_modifier(Modifier::REVERSED),
            // No colour may be set here: under NO_COLOR each one is sent as a reset, and that ends BOLD too. Reversed, a module drawn in
            // the text's colour comes out dark on light wherever the terminal itself is light on dark.
            Role::Qr if self == Self::Mono => base.add_modifier(Modifier::REVERSED),
            Role::Qr => Style::new().fg(Color::Black).bg(Color::White),
        }
    }

    fn dim(self, base: Style) -> Style {
        if self == Self::HighContrast { base } else { base.add_modifier(Modifier::DIM) }
    }

    fn coloured(self, base: Style, [dark, light, contrast]: [Color; 3]) -> Style {
        match self {
            Self::Dark => base.fg(dark),
            Self::Light => base.fg(light),
            Self::HighContrast => base.fg(contrast),
            Self::Mono => base,
        }
    }
}

impl Glyphs {
    /// `text` in characters this terminal can draw.
    pub fn draw(self, text: &str) -> String {
        match self {
            Self::Unicode => text.to_owned(),
            Self::Ascii => text.chars().map(ascii).collect(),
        }
    }
}

fn ascii(c: char) -> char {
    match c {
        '·' => '.',
        '×' => 'x',
        '“' | '”' => '"',
        '•' => '*',
        '…' => '~',
        '↑' => '^',
        '↓' => 'v',
        '√' | '●' => '+',
        '▀' | '▄' | '█' => '#',
        '▌' => ']',
        '►' => '>',
        '○' => 'o',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 13] = [
        Role::Text,
        Role::Strong,
        Role::Dim,
        Role::Mask,
        Role::Accent,
        Role::Ok,
        Role::Warn,
        Role::Danger,
        Role::Secret,
        Role::Field,
        Role::Tenant,
        Role::Demo,
        Role::Qr,
    ];

    #[test]
    fn mono_has_attributes_but_never_a_colour() {
        for role in ROLES {
            let style = Colours::Mono.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
        assert!(Colours::Mono.style(Role::Qr).add_modifier.contains(Modifier::REVERSED));
    }

    #[test]
    fn high_contrast_never_dims() {
        for role in ROLES {
            assert!(!Colours::HighContrast.style(role).add_modifier.contains(Modifier::DIM), "{role:?}");
        }
    }

    #[test]
    fn dim_is_an_attribute_and_never_a_grey() {
        assert_eq!(Colours::Dark.style(Role::Dim), Style::new().add_modifier(Modifier::DIM));
    }

    #[test]
    fn every_glyph_of_ours_has_an_ascii_form_of_one_character() {
        let drawn = Glyphs::Ascii.draw("·×“”•…↑↓√▀▄█▌►○●");
        assert_eq!(drawn, ".x\"\"*~^v+###]>o+");
        assert!(drawn.is_ascii());
    }
}
