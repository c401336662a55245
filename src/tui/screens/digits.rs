//! Our own digit face for reading aloud: four dots wide, seven high, a dot two cells wide.

use super::super::{canvas::Canvas, theme::Role};

/// Columns of one digit, and from one digit to the next.
pub const WIDTH: u16 = 8;
pub const PITCH: u16 = 12;

/// Rows of dots from the top; the highest of four bits is the leftmost dot.
const FACE: [[u8; 7]; 10] = [
    [0b0110, 0b1001, 0b1001, 0b1001, 0b1001, 0b1001, 0b0110],
    [0b0010, 0b0110, 0b0010, 0b0010, 0b0010, 0b0010, 0b0111],
    [0b0110, 0b1001, 0b0001, 0b0010, 0b0100, 0b1000, 0b1111],
    [0b1110, 0b0001, 0b0001, 0b0110, 0b0001, 0b0001, 0b1110],
    [0b1001, 0b1001, 0b1001, 0b1111, 0b0001, 0b0001, 0b0001],
    [0b1111, 0b1000, 0b1000, 0b1110, 0b0001, 0b0001, 0b1110],
    [0b0110, 0b1000, 0b1000, 0b1110, 0b1001, 0b1001, 0b0110],
    [0b1111, 0b0001, 0b0001, 0b0010, 0b0010, 0b0100, 0b0100],
    [0b0110, 0b1001, 0b1001, 0b0110, 0b1001, 0b1001, 0b0110],
    [0b0110, 0b1001, 0b1001, 0b0111, 0b0001, 0b0001, 0b0110],
];

const WORDS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// Draws the digit `c` with its top left corner at `row`, `col`, and its word two rows below.
pub fn draw(canvas: &mut Canvas, row: u16, col: u16, c: char) {
    let Some(digit) = c.to_digit(10).and_then(|digit| usize::try_from(digit).ok()) else {
        // Entra holds something odd: shown as it stands.
        canvas.secret(row + 3, col + 3, 2, Role::Secret, c.encode_utf8(&mut [0; 4]));
        return;
    };
    for (at, dots) in (row..).zip(FACE[digit]) {
        for dot in (0..4).filter(|dot| dots & (0b1000 >> dot) != 0) {
            canvas.secret(at, col + 2 * dot, 2, Role::Secret, if canvas.is_ascii() { "##" } else { "██" });
        }
    }
    let word = WORDS[digit];
    let inset = (WIDTH - u16::try_from(word.len()).unwrap_or(WIDTH)) / 2;
    canvas.secret(row + 8, col + inset, WIDTH, Role::Secret, word);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_digits_look_alike() {
        for (n, face) in FACE.iter().enumerate() {
            assert!(FACE[..n].iter().all(|other| other != face), "{n}");
        }
    }
}
