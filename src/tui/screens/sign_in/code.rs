//! A device code and its address: large, as a QR, and as they are typed.

use qrcode::{EcLevel, QrCode, Version};
use ratatui::widgets::Widget;
use tui_big_text::{BigText, PixelSize};
use tui_qrcode::{Colors, QrCodeWidget, QuietZone};

use super::super::super::{
    canvas::Canvas,
    theme::{Glyphs, Role},
};
use crate::domain::foreign::printable;

/// Version 3 has 29 modules: with a quiet zone of two it fills rows 7 to 23.
const QR_MODULES: usize = 29;

/// An address as it is typed: without https://, which a browser adds by itself.
pub fn spoken_address(address: &str) -> String {
    printable(address.strip_prefix("https://").unwrap_or(address))
}

pub fn code_fits(canvas: &Canvas, code: &str) -> bool {
    canvas.glyphs() == Glyphs::Unicode
        && code.is_ascii()
        && code.len() * 8 + 2 <= usize::from(canvas.cols())
        && canvas.rows() >= 24
}

pub fn big_code(canvas: &mut Canvas, code: &str) {
    let style = canvas.style(Role::Secret);
    let width = u16::try_from(code.len() * 8).unwrap_or(80);
    let text =
        BigText::builder().pixel_size(PixelSize::HalfHeight).style(style).lines(vec![code.to_owned().into()]).build();
    canvas.widget(3, 3, width, 4, |area, buffer| text.render(area, buffer));
}

/// The QR of an address, when one of at most 29 modules holds it.
pub fn qr_of(address: &str) -> Option<QrCode> {
    [EcLevel::M, EcLevel::L]
        .into_iter()
        .find_map(|level| QrCode::with_version(address, Version::Normal(3), level).ok())
        .filter(|qr| qr.width() <= QR_MODULES)
}

pub fn draw_qr(canvas: &mut Canvas, qr: QrCode) {
    let style = canvas.style(Role::Qr);
    let widget = QrCodeWidget::new(qr).quiet_zone(QuietZone::Disabled).colors(Colors::Normal).style(style);
    canvas.widget(7, 3, 33, 17, |area, buffer| buffer.set_style(area, style));
    canvas.widget(8, 5, 29, 15, |area, buffer| widget.render(area, buffer));
}
