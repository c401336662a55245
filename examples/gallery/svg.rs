//! A terminal's screen as SVG: text as text, on a grid; block characters as rectangles, so that no gap shows between them.

use std::fmt::Write as _;

use vt100::{Cell, Color, Screen};

/// A cell, in pixels. Even, so that half a block is whole pixels.
const WIDTH: u32 = 9;
const HEIGHT: u32 = 20;
/// From the cell's top to the line that letters stand on.
const BASELINE: u32 = 15;
const FONT_SIZE: u32 = 15;
/// Around the screen, and the window's bar above it.
const MARGIN: u32 = 14;
const BAR: u32 = 34;

const BACKGROUND: &str = "#11161d";
const FOREGROUND: &str = "#d6dde6";
const FRAME: &str = "#1c232d";
const EDGE: &str = "#323c4a";
const QUIET: &str = "#7d8896";

/// The sixteen colours that a terminal lets its owner choose.
const PALETTE: [&str; 16] = [
    "#1c232d", "#f0616d", "#8fd17f", "#e6c069", "#6cb0f5", "#c792ea", "#5fd3d3", "#d6dde6", "#6b7785", "#ff7b86",
    "#a8e698", "#ffd97d", "#8cc4ff", "#dcb0ff", "#7fe9e9", "#ffffff",
];

/// What is said around the screen.
pub struct Picture<'a> {
    /// On the window's bar.
    pub window: &'a str,
    /// Read out instead of the picture.
    pub title: &'a str,
}

/// How a run of cells looks.
#[derive(Clone, PartialEq)]
struct Style {
    ink: String,
    paper: Option<String>,
    bold: bool,
    dim: bool,
    underlined: bool,
}

/// Cells of one row that look alike.
struct Run {
    col: u32,
    cells: u32,
    text: String,
    style: Style,
}

pub fn draw(screen: &Screen, picture: &Picture<'_>) -> String {
    let (rows, cols) = screen.size();
    let (rows, cols) = (u32::from(rows.get()), u32::from(cols.get()));
    let (width, height) = (cols * WIDTH + 2 * MARGIN, rows * HEIGHT + BAR + MARGIN);
    let mut out = String::new();
    window(&mut out, width, height, picture);
    let _ = writeln!(out, r#"<g transform="translate({MARGIN} {BAR})">"#);
    let all: Vec<Vec<Run>> = (0..rows).map(|row| runs(screen, row, cols)).collect();
    let _ = writeln!(out, r#"<g shape-rendering="crispEdges">"#);
    for (row, runs) in (0..).zip(&all) {
        for run in runs {
            paper_and_blocks(&mut out, row, run);
        }
    }
    cursor(&mut out, screen);
    let _ = writeln!(out, "</g>");
    for (row, runs) in (0..).zip(&all) {
        for run in runs {
            letters(&mut out, row, run);
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

fn window(out: &mut String, width: u32, height: u32, picture: &Picture<'_>) {
    let title = escaped(picture.title);
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace" font-size="{FONT_SIZE}">"#
    );
    let _ = writeln!(out, r#"<title id="title">{title}</title>"#);
    let (w, h, foot) = (width - 1, height - 1, BAR - 8);
    let _ =
        writeln!(out, r#"<rect x=".5" y=".5" width="{w}" height="{h}" rx="9" fill="{BACKGROUND}" stroke="{EDGE}"/>"#);
    let _ = writeln!(
        out,
        r#"<path d="M1 {foot}V9.5A8.5 8.5 0 0 1 9.5 1H{}A8.5 8.5 0 0 1 {w} 9.5V{foot}Z" fill="{FRAME}"/>"#,
        w - 9
    );
    for n in 0..3 {
        let _ = writeln!(out, r#"<circle cx="{}" cy="13.5" r="4.5" fill="{EDGE}"/>"#, 18 + n * 16);
    }
    let _ = writeln!(
        out,
        r#"<text x="{}" y="18" text-anchor="middle" font-size="12" fill="{QUIET}">{}</text>"#,
        width / 2,
        escaped(picture.window)
    );
}

/// The row, cut where the look changes. Anything but ASCII stands alone: its glyph may come from another font, of another width.
fn runs(screen: &Screen, row: u32, cols: u32) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for col in 0..cols {
        let Some(cell) = cell_at(screen, row, col).filter(|cell| !cell.is_wide_continuation()) else { continue };
        let text = if cell.has_contents() { cell.contents() } else { " " };
        let (style, cells) = (style(cell), if cell.is_wide() { 2 } else { 1 });
        match runs.last_mut() {
            Some(run) if run.style == style && run.col + run.cells == col && goes_on(&run.text, text) => {
                run.text.push_str(text);
                run.cells += cells;
            }
            _ => runs.push(Run { col, cells, text: text.to_owned(), style }),
        }
    }
    runs
}

/// Whether `next` may stand in one run with `text`: ASCII with ASCII, a glyph with itself.
fn goes_on(text: &str, next: &str) -> bool {
    text.is_ascii() && next.is_ascii() || text.starts_with(next)
}

fn cell_at(screen: &Screen, row: u32, col: u32) -> Option<&Cell> {
    screen.cell(u16::try_from(row).ok()?, u16::try_from(col).ok()?)
}

fn style(cell: &Cell) -> Style {
    let (fg, bg) = (colour(cell.fgcolor()), colour(cell.bgcolor()));
    let (ink, paper) = if cell.inverse() {
        (bg.unwrap_or_else(|| BACKGROUND.into()), Some(fg.unwrap_or_else(|| FOREGROUND.into())))
    } else {
        (fg.unwrap_or_else(|| FOREGROUND.into()), bg)
    };
    Style { ink, paper, bold: cell.bold(), dim: cell.dim(), underlined: cell.underline() }
}

/// `None` is the terminal's own.
fn colour(colour: Color) -> Option<String> {
    match colour {
        Color::Default => None,
        Color::Rgb(r, g, b) => Some(format!("#{r:02x}{g:02x}{b:02x}")),
        Color::Idx(n @ 0..16) => Some(PALETTE[usize::from(n)].to_owned()),
        Color::Idx(n @ 16..232) => {
            // A cube of six steps a side.
            let step = |place: u8| [0, 95, 135, 175, 215, 255][usize::from((n - 16) / place % 6)];
            Some(format!("#{:02x}{:02x}{:02x}", step(36), step(6), step(1)))
        }
        Color::Idx(n) => {
            let grey = 8 + 10 * (n - 232);
            Some(format!("#{grey:02x}{grey:02x}{grey:02x}"))
        }
    }
}

fn paper_and_blocks(out: &mut String, row: u32, run: &Run) {
    let (x, y, width) = (run.col * WIDTH, row * HEIGHT, run.cells * WIDTH);
    if let Some(paper) = &run.style.paper {
        let _ = writeln!(out, r#"<rect x="{x}" y="{y}" width="{width}" height="{HEIGHT}" fill="{paper}"/>"#);
    }
    let half = HEIGHT / 2;
    let block = match run.text.chars().next() {
        Some('█') => Some((y, width, HEIGHT)),
        Some('▀') => Some((y, width, half)),
        Some('▄') => Some((y + half, width, half)),
        // Only ever one wide.
        Some('▌') => Some((y, WIDTH / 2, HEIGHT)),
        _ => None,
    };
    if let Some((y, width, height)) = block {
        let ink = ink(&run.style);
        let _ = writeln!(out, r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" {ink}/>"#);
    } else if run.style.underlined {
        let (y, ink) = (y + HEIGHT - 3, ink(&run.style));
        let _ = writeln!(out, r#"<rect x="{x}" y="{y}" width="{width}" height="1" {ink}/>"#);
    }
}

/// The text of a run, word for word: what stands three blanks apart is placed by itself, so that a narrow font drifts nowhere.
fn letters(out: &mut String, row: u32, run: &Run) {
    if run.text.starts_with(['█', '▀', '▄', '▌']) {
        return;
    }
    let y = row * HEIGHT + BASELINE;
    let ink = ink(&run.style);
    let bold = if run.style.bold { r#" font-weight="bold""# } else { "" };
    for (at, words) in words(&run.text) {
        // The width of one glyph that is two cells wide is its run's.
        let cells = if run.text.is_ascii() { u32::try_from(words.len()).unwrap_or(0) } else { run.cells };
        let (x, length) = ((run.col + at) * WIDTH, cells * WIDTH);
        let _ = writeln!(
            out,
            r#"<text x="{x}" y="{y}" textLength="{length}" lengthAdjust="spacingAndGlyphs" {ink}{bold}>{}</text>"#,
            escaped(words)
        );
    }
}

/// The parts of `text` between two blanks or more, each with its column.
fn words(text: &str) -> Vec<(u32, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut at = 0;
    loop {
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        (at, rest) = (at + blanks, &rest[blanks..]);
        if rest.is_empty() {
            return found;
        }
        let end = rest.find("  ").unwrap_or(rest.trim_end_matches(' ').len());
        found.push((u32::try_from(at).unwrap_or(0), &rest[..end]));
        (at, rest) = (at + end, &rest[end..]);
    }
}

fn cursor(out: &mut String, screen: &Screen) {
    if screen.hide_cursor() {
        return;
    }
    let (row, col) = screen.cursor_position();
    let (x, y) = (u32::from(col) * WIDTH, u32::from(row) * HEIGHT + 2);
    let height = HEIGHT - 4;
    let _ =
        writeln!(out, r#"<rect x="{x}" y="{y}" width="{WIDTH}" height="{height}" fill="{FOREGROUND}" opacity=".75"/>"#);
}

fn ink(style: &Style) -> String {
    let dim = if style.dim { r#" fill-opacity=".55""# } else { "" };
    format!(r#"fill="{}"{dim}"#, style.ink)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
