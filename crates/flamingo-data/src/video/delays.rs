//! How long each frame of a GIF or PNG stays, read without decoding anything: what an animation will take is known, and
//! refused if it is too much, before memory and time are spent on it.

use crate::png;

/// The delays of a GIF's frames, in milliseconds (GIF89a specification, sections 18 to 23).
///
/// # Errors
///
/// What is wrong, if a block is cut or of no known kind. That the block at the end is missing is no error.
pub(super) fn gif(bytes: &[u8]) -> Result<Vec<f64>, String> {
    let mut rest = bytes;
    let mut delays = Vec::new();
    walk_gif(&mut rest, &mut delays).ok_or_else(|| format!("frame {} is cut, or no frame", delays.len()))?;
    Ok(delays)
}

/// `None` at something that is cut or unknown.
fn walk_gif(rest: &mut &[u8], delays: &mut Vec<f64>) -> Option<()> {
    take(rest, 10)?;
    let flags = take(rest, 3)?[0];
    colour_table(rest, flags)?;
    let mut delay = 0.0;
    while let Some((kind, body)) = rest.split_first() {
        *rest = body;
        match kind {
            // An extension; the graphic control is about the next frame, in hundredths of a second.
            0x21 => {
                let label = take(rest, 1)?[0];
                if let (0xf9, [4, _, low, high, ..]) = (label, &**rest) {
                    delay = f64::from(u16::from_le_bytes([*low, *high])) * 10.0;
                }
                sub_blocks(rest)?;
            }
            0x2c => {
                let flags = take(rest, 9)?[8];
                colour_table(rest, flags)?;
                take(rest, 1)?;
                sub_blocks(rest)?;
                delays.push(std::mem::take(&mut delay));
            }
            0x3b => break,
            _ => return None,
        }
    }
    Some(())
}

/// The colours that follow, if `flags` say so.
fn colour_table(rest: &mut &[u8], flags: u8) -> Option<()> {
    if flags & 0x80 != 0 {
        take(rest, 3 << ((flags & 7) + 1))?;
    }
    Some(())
}

/// Passes over blocks up to an empty one.
fn sub_blocks(rest: &mut &[u8]) -> Option<()> {
    loop {
        match take(rest, 1)?[0] {
            0 => return Some(()),
            length => take(rest, usize::from(length))?,
        };
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// The delays of an animated PNG's frames, in milliseconds (PNG specification, third edition, section 11.3.6).
///
/// # Errors
///
/// What is wrong, if there are fewer frames than it says.
pub(super) fn png(bytes: &[u8]) -> Result<Vec<f64>, String> {
    let (mut said, mut delays) = (0, Vec::new());
    for chunk in png::chunks(bytes) {
        match (&chunk.kind, chunk.contents) {
            (b"acTL", [a, b, c, d, ..]) => said = u32::from_be_bytes([*a, *b, *c, *d]) as usize,
            (b"fcTL", [.., n0, n1, d0, d1, _, _]) => {
                let part = f64::from(u16::from_be_bytes([*n0, *n1]));
                let of = u16::from_be_bytes([*d0, *d1]);
                delays.push(1e3 * part / f64::from(if of == 0 { 100 } else { of }));
            }
            _ => {}
        }
    }
    match delays.len() < said {
        true => Err(format!("it says that it has {said} frames, and has {}", delays.len())),
        false => {
            delays.truncate(said);
            Ok(delays)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two frames, the second with colours of its own, and a comment between them.
    const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0RGBrgb\
        \x21\xf9\x04\0\x07\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\
        \x21\xfe\x02hi\0\
        \x2c\0\0\0\0\x01\0\x01\0\x80RGBrgb\x02\x02\x44\x01\0\x3b";

    #[test]
    fn a_delay_is_of_one_frame() {
        assert_eq!(gif(GIF).unwrap(), [70.0, 0.0]);
        assert_eq!(gif(&GIF[..GIF.len() - 1]).unwrap(), [70.0, 0.0], "without its end");
    }

    #[test]
    fn cut_blocks_are_errors() {
        for length in 0..GIF.len() - 1 {
            let starts_a_block = [19, 27, 42, 48].contains(&length);
            match gif(&GIF[..length]) {
                Ok(delays) => assert!(starts_a_block && delays.len() < 2, "{length}: {delays:?}"),
                Err(_) => assert!(!starts_a_block, "{length}"),
            }
        }
        assert!(gif(&[&GIF[..19], b"?"].concat()).unwrap_err().contains("frame 0"));
    }

    #[test]
    fn a_png_must_have_the_frames_that_it_says() {
        let chunk = |kind: &[u8; 4], contents: &[u8]| {
            [&(contents.len() as u32).to_be_bytes(), &kind[..], contents, &[0; 4]].concat()
        };
        let frame = |delay: [u8; 4]| chunk(b"fcTL", &[&[0; 20][..], &delay, &[0; 2]].concat());
        let file = |said: u8| {
            let head = chunk(b"acTL", &[0, 0, 0, said, 0, 0, 0, 0]);
            [b"\x89PNG\r\n\x1a\n", &head[..], &frame([0, 1, 0, 4]), &frame([0, 7, 0, 0])].concat()
        };
        assert_eq!(png(&file(2)).unwrap(), [250.0, 70.0]);
        assert_eq!(png(&file(1)).unwrap(), [250.0]);
        assert!(png(&file(3)).unwrap_err().contains("3 frames"));
    }
}
