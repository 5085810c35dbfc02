//! The record framing of event files (TFRecord): length, checksum of the length, bytes, checksum of the bytes.

/// A record around `payload`.
pub(super) fn frame(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(payload.len() + 16);
    record.extend(length);
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(payload);
    record.extend(masked_crc(payload).to_le_bytes());
    record
}

/// The payloads of a file's records; `None` if a length or checksum is wrong.
#[cfg(test)]
pub(super) fn unframe(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut payloads = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<8>()?;
        let (length_crc, rest) = rest.split_first_chunk::<4>()?;
        let (payload, rest) = rest.split_at_checked(u64::from_le_bytes(*length) as usize)?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*length_crc) != masked_crc(length)
            || u32::from_le_bytes(*crc) != masked_crc(payload)
        {
            return None;
        }
        payloads.push(payload.to_vec());
        bytes = rest;
    }
    Some(payloads)
}

/// The checksum as it is stored: turned and shifted, because the checksum of data that hold their own is bad.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (RFC 3720, appendix B.4), bit by bit reflected.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)])
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_rfc_3720() {
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&ascending), 0x46dd_794e);
    }

    /// The bytes that TensorBoard 2.21's `RecordWriter` gives.
    #[test]
    fn records_are_those_of_tensorboard() {
        let hex: String = frame(b"one").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "0300000000000000b099490e6f6e6501405508");
    }

    #[test]
    fn what_is_framed_comes_out_again_unless_a_bit_is_flipped() {
        let file: Vec<u8> = [&b"one"[..], b"", b"three"].into_iter().flat_map(frame).collect();
        assert_eq!(unframe(&file).unwrap(), [b"one".to_vec(), b"".to_vec(), b"three".to_vec()]);
        for place in 0..file.len() {
            let mut broken = file.clone();
            broken[place] ^= 4;
            assert_eq!(unframe(&broken), None, "byte {place}");
        }
    }
}
