//! Delta tables written by hand, file by file: whatever a writer may put into a log can be
//! put into one here.

use std::path::Path;

use arrow::array::RecordBatch;
use serde_json::{Value, json};

use crate::project::{Project, parquet, typed};

/// A table in a folder of a project.
pub struct Lake<'a> {
    project: &'a Project,
    folder: &'a str,
}

/// The columns of orders as Delta writes them.
pub const ORDERS: [(&str, &str); 4] = [
    ("order_id", "long"),
    ("customer_id", "long"),
    ("ordered_at", "timestamp_ntz"),
    ("amount", "decimal(18,2)"),
];

/// A field of a table's schema.
pub fn field(name: &str, kind: &str) -> Value {
    json!({ "name": name, "type": kind, "nullable": true, "metadata": {} })
}

/// The same under a name of its files' own.
pub fn mapped(name: &str, kind: &str, physical: &str, id: u64) -> Value {
    json!({ "name": name, "type": kind, "nullable": true, "metadata": {
        "delta.columnMapping.physicalName": physical, "delta.columnMapping.id": id,
    } })
}

/// The protocol of a table whose readers need these features.
pub fn protocol(features: &[&str]) -> Value {
    json!({ "protocol": {
        "minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": features, "writerFeatures": features,
    } })
}

/// What a table is: its columns, those that stand in the log alone, and its properties.
pub fn metadata(fields: &[Value], partitions: &[&str], properties: Value) -> Value {
    let schema = json!({ "type": "struct", "fields": fields });
    json!({ "metaData": {
        "id": "a-table", "format": { "provider": "parquet", "options": {} },
        "schemaString": schema.to_string(), "partitionColumns": partitions,
        "configuration": properties, "createdTime": 0,
    } })
}

/// The columns of [`ORDERS`].
pub fn orders() -> Vec<Value> {
    ORDERS.iter().map(|(name, kind)| field(name, kind)).collect()
}

impl<'a> Lake<'a> {
    /// A table in `folder`, whose log is empty yet.
    pub fn new(project: &'a Project, folder: &'a str) -> Self {
        Self { project, folder }
    }

    /// A table of orders at version 0, without files.
    pub fn of_orders(project: &'a Project, folder: &'a str) -> Self {
        let lake = Self::new(project, folder);
        lake.commit(
            0,
            &[
                protocol(&["timestampNtz", "deletionVectors"]),
                metadata(&orders(), &[], json!({ "delta.enableDeletionVectors": "true" })),
            ],
        );
        lake
    }

    /// Writes a version.
    pub fn commit(&self, version: u64, actions: &[Value]) {
        let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
        self.project.file(&format!("{}/_delta_log/{version:020}.json", self.folder), &text);
    }

    /// Writes a file of rows, as [`Project::orders`] does, and says that it counts.
    pub fn add(&self, file: &str, rows: &str) -> Value {
        let text: String = rows.trim().lines().map(|line| format!("{}\n", line.trim())).collect();
        self.add_batch(file, &typed(&text))
    }

    /// The same of a batch.
    pub fn add_batch(&self, file: &str, batch: &RecordBatch) -> Value {
        let path = self.project.path(&format!("{}/{file}", self.folder));
        parquet(&path, batch);
        self.added(file)
    }

    /// That a file counts which is there.
    pub fn added(&self, file: &str) -> Value {
        let path = self.project.path(&format!("{}/{file}", self.folder));
        let size = std::fs::metadata(&path).expect("a file").len();
        json!({ "add": {
            "path": file, "partitionValues": {}, "size": size, "modificationTime": 0,
            "dataChange": true,
        } })
    }

    /// That a file counts no more.
    pub fn remove(file: &str) -> Value {
        json!({ "remove": { "path": file, "deletionTimestamp": 0, "dataChange": true } })
    }

    /// That a file counts no more as it was added: with the rows that it was without.
    pub fn remove_of(add: &Value) -> Value {
        let mut remove = Self::remove(add["add"]["path"].as_str().expect("a path"));
        if let Some(vector) = add["add"].get("deletionVector") {
            remove["remove"]["deletionVector"] = vector.clone();
        }
        remove
    }

    /// The same file without some of its rows, which stand in the log itself.
    pub fn without(add: &Value, rows: &[u16]) -> Value {
        let data = vector(rows);
        let mut add = add.clone();
        add["add"]["deletionVector"] = json!({
            "storageType": "i", "pathOrInlineDv": z85(&data), "sizeInBytes": data.len(),
            "cardinality": rows.len(),
        });
        add
    }

    /// The same file without some of its rows, which stand in a file beside it.
    pub fn without_by_file(&self, add: &Value, rows: &[u16]) -> Value {
        let data = vector(rows);
        let id: [u8; 16] = std::array::from_fn(|place| u8::try_from(place * 7).expect("small"));
        let mut file = vec![1];
        file.extend(u32::try_from(data.len()).expect("small").to_be_bytes());
        file.extend(&data);
        file.extend(crc32(&data).to_be_bytes());
        let hex = id.map(|byte| format!("{byte:02x}")).concat();
        let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        let path = self.project.path(&format!("{}/deletion_vector_{uuid}.bin", self.folder));
        std::fs::write(path, file).expect("a file");
        let mut add = add.clone();
        add["add"]["deletionVector"] = json!({
            "storageType": "u", "pathOrInlineDv": z85(&id), "offset": 1,
            "sizeInBytes": data.len(), "cardinality": rows.len(),
        });
        add
    }

    /// Removes a file from the disk, as `vacuum` does.
    pub fn lose(&self, file: &str) {
        let path = self.project.path(&format!("{}/{file}", self.folder));
        std::fs::remove_file(Path::new(&path)).expect("a file");
    }
}

/// A deletion vector: places of rows as a Roaring bitmap of one container.
fn vector(rows: &[u16]) -> Vec<u8> {
    let mut data = Vec::new();
    data.extend(1_681_511_377_u32.to_le_bytes());
    // One map of 32 bits, whose upper bits are zero.
    data.extend(1_u64.to_le_bytes());
    data.extend(0_u32.to_le_bytes());
    // One container, which lists its values.
    data.extend(12_346_u32.to_le_bytes());
    data.extend(1_u32.to_le_bytes());
    data.extend(0_u16.to_le_bytes());
    data.extend((u16::try_from(rows.len()).expect("few") - 1).to_le_bytes());
    data.extend(16_u32.to_le_bytes());
    rows.iter().for_each(|row| data.extend(row.to_le_bytes()));
    data
}

/// Bytes as the log writes them: four of them as five characters.
fn z85(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 85] =
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().div_ceil(4) * 4, 0);
    let mut text = String::new();
    for four in padded.chunks_exact(4) {
        let number = u32::from_be_bytes([four[0], four[1], four[2], four[3]]);
        for place in (0..5).rev() {
            let digit = number / 85_u32.pow(place) % 85;
            text.push(char::from(DIGITS[usize::try_from(digit).expect("below 85")]));
        }
    }
    text
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
        })
    })
}
