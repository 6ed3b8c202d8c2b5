//! Paths of data files and the keys that they stand for.

use flowlake_partition::layout::{DataPath, Month, NameDigest, PartitionKey};

/// A text is the path of a data file that is spelled like that, or none; and a key makes a path that is read back as it.
///
/// # Panics
/// When it is otherwise.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(path) = text.parse::<DataPath>() {
        assert_eq!(path.to_string(), text);
    }
    if let Ok(month) = text.parse::<Month>() {
        assert_eq!(month.to_string(), text);
        assert!(month.start_millis() < month.end_millis());
        assert_eq!(Month::from_epoch_millis(month.start_millis()).ok(), Some(month));
        assert_eq!(Month::from_epoch_millis(month.end_millis() - 1).ok(), Some(month));
    }
    // A class, a device and a number, whatever they are.
    let mut pieces = text.splitn(4, '\n');
    let (Some(class), Some(device), Some(number)) = (pieces.next(), pieces.next(), pieces.next()) else {
        return;
    };
    let Ok(number) = number.parse::<u32>() else { return };
    let millis = i64::from(number) * 86_400_000;
    let Ok(month) = Month::from_epoch_millis(millis) else { return };
    assert!(month.contains_millis(millis));
    let Ok(key) = PartitionKey::new(month, class) else { return };
    let Ok(path) = DataPath::new(key, device, number % 100_000) else { return };
    let with_digest = path.clone().with_digest(NameDigest::of(&[number as u8; 32]));
    for path in [path, with_digest] {
        let again: DataPath = path.to_string().parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(again, path);
    }
}
