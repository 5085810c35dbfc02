//! Headers that lie, and shards with random damage.

use std::io::Read;

use proptest::prelude::*;
use tar::EntryType;

use super::*;
use crate::store::ByteStream;

#[test]
fn sizes_that_lie_take_no_memory() {
    for size in [63 << 20, u64::from(u32::MAX), 1 << 60] {
        let lying = header("a.bin", EntryType::Regular, size).as_bytes().to_vec();
        let found = outline(&items(lying));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("a: "), "{found:?}");
    }
    let negative = {
        let mut header = header("a.bin", EntryType::Regular, 0);
        header.as_gnu_mut().unwrap().size = [0xff; 12];
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    assert_eq!(outline(&items(negative)).len(), 1);
}

#[test]
fn descriptions_without_end_are_refused() {
    let endless = vec![member("x", EntryType::XHeader, b"12 path=a/b\n"); 100];
    assert_eq!(outline(&items(archive(&endless))), ["entry 0 (counted from 0): corrupt-shard"]);
    let alone = member("x", EntryType::GNULongName, b"a/b.png");
    assert_eq!(outline(&items(archive(&[alone]))), ["entry 0 (counted from 0): corrupt-shard"]);
    let long = member("x", EntryType::GNULongName, &[b'a'; 100_000]);
    let pax = member("x", EntryType::XHeader, b"99 path=a/b\n");
    let found = outline(&items(archive(&[long, file("a.png"), pax, file("b.png"), file("c.png")])));
    assert_eq!(found, ["a: too-large", "b: corrupt-shard", "c"]);
}

#[test]
fn a_bomb_is_passed_over_or_given_up() {
    // 100 MiB of zeros behind the end of the archive.
    let zeros = ByteStream::new(std::io::repeat(0).take(100 << 20));
    let found: Vec<_> = ShardRecords::new("s.tar".into(), zeros, Limits::default()).collect();
    assert_eq!(outline(&found), ["entry 0 (counted from 0): corrupt-shard"]);
}

/// Records of one to three fields, as an archive with where each record begins, and its end mark.
fn shard(sizes: &[Vec<usize>]) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut starts) = (Vec::new(), Vec::new());
    for (record, fields) in sizes.iter().enumerate() {
        starts.push(bytes.len());
        for (field, size) in fields.iter().enumerate() {
            let contents = vec![record as u8 + 1; *size];
            bytes.extend(member(&format!("{record:03}.{field}"), EntryType::Regular, &contents));
        }
    }
    starts.push(bytes.len());
    bytes.extend([0; 1024]);
    (bytes, starts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Whatever bytes are changed, reading ends without a panic, takes no more memory than there are bytes, and
    /// gives every record before the damage.
    #[test]
    fn damage_spares_what_is_before_it(
        sizes in prop::collection::vec(prop::collection::vec(0usize..1500, 1..4), 1..8),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let (good, starts) = shard(&sizes);
        let mut bad = good.clone();
        for (at, value) in &changes {
            bad[at.index(good.len())] = *value;
        }
        if let Some(cut) = cut {
            bad.truncate(cut.index(good.len()));
        }
        let same = good.iter().zip(&bad).take_while(|(a, b)| a == b).count();
        // A record has ended when the next header was read.
        let spared = starts.iter().filter(|start| **start > 0 && **start + 512 <= same).count();
        let whole = items(good);
        let found = items(bad.clone());
        prop_assert!(found.len() >= spared, "{} of {spared}", found.len());
        prop_assert_eq!(&found[..spared], &whole[..spared]);
        let memory: usize = found.iter().flatten().map(Record::len).sum();
        prop_assert!(memory <= bad.len());
        let skipped = ShardRecords::new("s.tar".into(), ByteStream::new(Cursor::new(bad)), Limits::default()).skip(1);
        prop_assert_eq!(outline(&skipped.collect::<Vec<_>>()), outline(&found[found.len().min(1)..]));
    }

    /// Damage within the contents of a field costs nothing else.
    #[test]
    fn damage_to_contents_stays_there(
        sizes in prop::collection::vec(prop::collection::vec(1usize..1500, 1..4), 2..8),
        at in any::<prop::sample::Index>(),
    ) {
        let (good, starts) = shard(&sizes);
        let victim = at.index(sizes.len());
        let mut bad = good.clone();
        bad[starts[victim] + 512] ^= 0x55;
        let (whole, found) = (items(good), items(bad));
        prop_assert_eq!(whole.len(), found.len());
        for (index, (one, other)) in whole.iter().zip(&found).enumerate() {
            prop_assert_eq!(one == other, index != victim);
        }
    }
}
